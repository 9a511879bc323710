"""Hugging Face folders (config.json, safetensors, a tokenizer) and GGUF files, through transformers.

Any causal language model that transformers knows: Llama, GPT-2, GPT-NeoX, Qwen, Gemma, Phi and the rest. Everything is
read from the disk and nothing from the network; code that a folder brings along is not run, and pickled weights are
refused. The head is checked against the model's own logits when it is opened (``hf_backend``). GGUF weights come out
as transformers dequantises them, in float32.

What opens a document is the tokenizer's BOS; where there is none, the configuration's ``bos_token_id``, and else the
end-of-text token, which such models saw between documents.

Needs the extra: pip install "evaladapt[hf]"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaladapt.errors import DataError, EvaladaptError, ModelError
from evaladapt.model.family import FrozenModel, Opened, Placed, path_placed
from evaladapt.system.strict_json import read_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.model.backend import Backend

CONFIG, TOKENIZER, TOKENIZER_CONFIG, SENTENCEPIECE = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
)  # fmt: skip
WEIGHTS, INDEX, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model*.bin"
GGUF = ".gguf"


class HuggingFaceFamily:
    """``hf:FOLDER`` or ``hf:FILE.gguf``."""

    summary = "Hugging Face folders and GGUF files, through transformers (extra: hf)"
    wants = "a folder with config.json, *.safetensors and tokenizer.json, or a .gguf file"
    tokenizer_is_ours = True

    def claims(self, where: str) -> bool:
        """A folder with a configuration, or a GGUF file by its name."""
        path = Path(where)
        return (path / CONFIG).is_file() or (path.suffix.lower() == GGUF and path.is_file())

    def placed(self, where: str) -> Placed:
        """The folder or the file."""
        return path_placed(where)

    def open(self, where: str, device: torch.device) -> Opened:
        """The model, and every file it was read from."""
        source = _source(where)
        try:
            from evaladapt_models import hf_backend
        except ImportError as error:
            raise _extra_is_missing(where, error) from None
        try:
            tokenizer = self._tokenizer(source)
            backend = hf_backend.open_backend(source.folder, source.gguf, device)
        except EvaladaptError as error:
            raise ModelError(f"{source.path}: {error}") from error
        except ImportError as error:
            raise _extra_is_missing(where, error) from None
        return Opened(backend, tokenizer, source.files)

    def open_tokenizer(self, where: str) -> Tokenizer:
        """The tokenizer of the folder or file; weights are not read."""
        source = _source(where)
        try:
            return self._tokenizer(source)
        except EvaladaptError as error:
            raise ModelError(f"{source.path}: {error}") from error

    def freeze(self, opened: Opened) -> FrozenModel:
        """transformers' configuration, the weights, and the tokenizer's file."""
        from evaladapt.data.tokenizers.huggingface import HuggingFaceTokenizer
        from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
        from evaladapt_models import hf_backend

        tokenizer, model = opened.tokenizer, opened.backend
        assert isinstance(model, hf_backend.CausalLM)
        if isinstance(tokenizer, HuggingFaceTokenizer):
            content, opening = tokenizer.content, tokenizer.bos_id
        else:
            assert isinstance(tokenizer, SentencePieceTokenizer)
            content, opening = tokenizer.model_bytes, None
        config = {"family": "hf", "config": hf_backend.configuration(model), "bos_id": opening}
        config |= {"vocab_size": tokenizer.vocab_size}
        return FrozenModel(config, dict(model.named_parameters()), content)

    def thaw(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Backend:
        """The network that the configuration describes, with these weights."""
        try:
            from evaladapt_models import hf_backend
        except ImportError as error:
            raise _extra_is_missing("the model inside", error) from None
        return hf_backend.built(config.get("config"), tensors)

    def thaw_tokenizer(self, config: Mapping[str, Any], content: bytes) -> Tokenizer:
        """A tokenizer.json, or a sentencepiece model where no id for the opening was packed."""
        if config.get("bos_id") is None:
            from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

            return SentencePieceTokenizer(content)
        from evaladapt.data.tokenizers.huggingface import HuggingFaceTokenizer

        return HuggingFaceTokenizer(content, int(config["bos_id"]), int(config["vocab_size"]))

    def _tokenizer(self, source: Source) -> Tokenizer:
        return _of_gguf(source) if source.gguf else _of_folder(source.folder)


@dataclass(frozen=True)
class Source:
    """What is read: a folder, and the GGUF file in it where it is one."""

    path: Path
    folder: Path
    gguf: str | None
    files: tuple[Path, ...]


def _source(where: str) -> Source:
    path = Path(where).expanduser()
    if path.is_file() and path.suffix.lower() == GGUF:
        return Source(path, path.parent, path.name, (path,))
    if not path.is_dir():
        found = "is no folder and no .gguf file" if path.exists() else "is not there"
        raise ModelError(f"{where}: {found}. Give the folder that holds {CONFIG}, or a {GGUF} file.")
    if not (path / CONFIG).is_file():
        ggufs = sorted(one.name for one in path.glob(f"*{GGUF}"))
        hint = f" It holds {', '.join(ggufs)}: name that file." if ggufs else ""
        raise ModelError(f"{where}: the folder holds no {CONFIG}.{hint}")
    tokenizer = [path / name for name in (TOKENIZER, SENTENCEPIECE) if (path / name).is_file()][:1]
    if not tokenizer:
        raise ModelError(
            f"{where}: the folder holds neither {TOKENIZER} nor {SENTENCEPIECE}. With transformers, this writes the"
            f" first: AutoTokenizer.from_pretrained(...).save_pretrained({str(path)!r})"
        )
    settings = [path / TOKENIZER_CONFIG] if (path / TOKENIZER_CONFIG).is_file() else []
    return Source(path, path, None, (path / CONFIG, *_weights(path), *tokenizer, *settings))


def _weights(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        shards = sorted(set(_object(folder / INDEX).get("weight_map", {}).values()))
        return [folder / INDEX, *(folder / shard for shard in shards)]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if list(folder.glob(PICKLED)):
        raise ModelError(
            f"{folder}: the weights are pickled, and a pickle can run anything when it is read. Where you trust it,"
            " convert it with transformers: AutoModelForCausalLM.from_pretrained(...).save_pretrained(NEW_FOLDER)"
        )
    raise ModelError(f"{folder}: there is no {WEIGHTS} and no {INDEX}.")


def _of_folder(folder: Path) -> Tokenizer:
    config = _object(folder / CONFIG)
    if not (folder / TOKENIZER).is_file():
        from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

        return SentencePieceTokenizer.load(folder / SENTENCEPIECE)
    from evaladapt.data.tokenizers.huggingface import open_tokenizer_json

    of_the_text = {**config, **config.get("text_config", {})}
    return open_tokenizer_json(folder / TOKENIZER, of_the_text.get("vocab_size"), of_the_text)


def _of_gguf(source: Source) -> Tokenizer:
    """As transformers reads it; llama.cpp's own loses white space."""
    from evaladapt.data.tokenizers.huggingface import HuggingFaceTokenizer

    try:
        from evaladapt_models.hf_backend import gguf_tokenizer
    except ImportError as error:
        raise _extra_is_missing(str(source.path), error) from None
    content, opening = gguf_tokenizer(source.folder, str(source.gguf))
    if opening is None:
        raise DataError("the file names neither a BOS nor an end-of-text token, and a document has to open with one")
    return HuggingFaceTokenizer(content, opening)


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object.")
    return content


def _extra_is_missing(where: str, error: ImportError) -> ModelError:
    return ModelError(f'{where} needs packages that are not here ({error}). Install them: pip install "evaladapt[hf]"')

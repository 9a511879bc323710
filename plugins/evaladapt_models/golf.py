"""Checkpoints of parameter-golf's baseline: ``final_model.pt`` and ``final_model.int8.ptz``.

The first is the network's state, the second zlib over the same in int8 with a float16 scale per row. Neither says how
the network was built: sizes follow from the shapes; the rest are the script's defaults, unless they are given behind
the file's name: ``golf:final_model.pt,context=2048,rope_base=50000,logit_softcap=15``. The tokenizer is the only
``.model`` file beside the checkpoint, or ``golf:final_model.pt,tokenizer=fineweb_1024_bpe.model``.

Read with torch's ``weights_only``: what is a pickle of anything but tensors is refused. Later stacks of the contest
have other networks; those come in through their own module, ``python:FILE.py:FUNCTION``.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaladapt.errors import DataError, ModelError, near_miss
from evaladapt.model.family import FrozenModel, Opened, Placed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
    from evaladapt.model.backend import Backend

SUFFIXES = (".pt", ".ptz")
CONSTANTS = ("context", "rope_base", "logit_softcap")
"""What a checkpoint does not say."""
QUANTISED = "int8_clean_per_row_v1"
MOST_BYTES = 4_000_000_000
"""Of what a compressed checkpoint may become."""


@dataclass(frozen=True)
class Given:
    """A reference taken apart; the defaults are those of the baseline's script."""

    path: Path
    tokenizer: str | None = None
    context: int = 1024
    rope_base: float = 10_000.0
    logit_softcap: float = 30.0


class GolfFamily:
    """``golf:FILE`` or ``golf:FILE,tokenizer=FILE``."""

    summary = "checkpoints of parameter-golf's baseline (.pt, int8 .ptz)"
    wants = "a checkpoint of parameter-golf's baseline, .pt or .ptz, with a sentencepiece .model beside it"
    tokenizer_is_ours = True

    def claims(self, where: str) -> bool:
        """A file by its suffix."""
        path = _given(where).path
        return path.suffix in SUFFIXES and path.is_file()

    def placed(self, where: str) -> Placed:
        """The checkpoint and its tokenizer, found now and named."""
        given = _given(where)
        if not given.path.exists():
            return Placed(where, ())
        files = (given.path.resolve(), _tokenizer_path(given).resolve())
        others = [one for one in where.split(",")[1:] if not one.startswith("tokenizer=")]
        return Placed(",".join([str(files[0]), *others, f"tokenizer={files[1]}"]), files)

    def open(self, where: str, device: torch.device) -> Opened:
        """The network in float32."""
        from evaladapt_models.golf_model import golf_model

        given = _given(where)
        place, tokenizer = _tokenizer(given)
        try:
            model = golf_model(_weights(given.path), given.context, given.rope_base, given.logit_softcap)
        except ModelError as error:
            raise ModelError(f"{given.path}: {error}") from error
        return Opened(model.to(device).eval(), tokenizer, (given.path, place))

    def open_tokenizer(self, where: str) -> SentencePieceTokenizer:
        """The sentencepiece model alone."""
        return _tokenizer(_given(where))[1]

    def freeze(self, opened: Opened) -> FrozenModel:
        """The weights, and what they do not say."""
        from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
        from evaladapt_models.golf_model import GolfModel

        model, tokenizer = opened.backend, opened.tokenizer
        assert isinstance(model, GolfModel)
        assert isinstance(tokenizer, SentencePieceTokenizer)
        config = {name: getattr(model.shape, name) for name in CONSTANTS}
        return FrozenModel({"family": "golf", **config}, dict(model.named_parameters()), tokenizer.model_bytes)

    def thaw(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Backend:
        """The network of these weights."""
        from evaladapt_models.golf_model import golf_model

        if set(config) != {"family", *CONSTANTS} or not all(_is_size(config[name]) for name in CONSTANTS):
            raise ModelError(f"its configuration is not {', '.join(CONSTANTS)}, each above 0.")
        return golf_model(tensors, int(config["context"]), config["rope_base"], config["logit_softcap"]).eval()

    def thaw_tokenizer(self, config: Mapping[str, Any], content: bytes) -> SentencePieceTokenizer:
        """A sentencepiece model."""
        from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

        return SentencePieceTokenizer(content)


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _given(where: str) -> Given:
    name, *settings = where.split(",")
    read: dict[str, Any] = {}
    kinds = {"tokenizer": str, "context": int, "rope_base": float, "logit_softcap": float}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in kinds:
            raise ModelError(f"golf:{where}: no setting {key!r}.{near_miss(key, kinds)} There are {', '.join(kinds)}.")
        try:
            read[key] = kinds[key](value)
        except ValueError:
            raise ModelError(f"golf:{where}: {key} is a number, not {value!r}.") from None
        if key != "tokenizer" and not 0 < read[key] < 1e9:
            raise ModelError(f"golf:{where}: {key} must be above 0.")
    return Given(Path(name).expanduser(), **read)


def _tokenizer(given: Given) -> tuple[Path, SentencePieceTokenizer]:
    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

    path = _tokenizer_path(given)
    try:
        return path, SentencePieceTokenizer.load(path)
    except DataError as error:
        raise ModelError(f"golf:{given.path}: {error}") from error


def _tokenizer_path(given: Given) -> Path:
    if not given.path.is_file():
        raise ModelError(f"{given.path}: there is no such file.")
    beside = [Path(given.tokenizer).expanduser()] if given.tokenizer else sorted(given.path.parent.glob("*.model"))
    if len(beside) != 1:
        found = f"{len(beside)} .model files are" if beside else "no .model file is"
        raise ModelError(
            f"{given.path}: {found} beside it, and a checkpoint does not hold its tokenizer. Name the one of its"
            f" training: golf:{given.path},tokenizer=FILE"
        )
    return beside[0]


def _weights(path: Path) -> dict[str, Tensor]:
    content = path.read_bytes()
    if path.suffix == ".ptz":
        content = _inflated(content)
    loaded = _loaded(content)
    if loaded.get("__quant_format__") is not None:
        if loaded["__quant_format__"] != QUANTISED:
            raise ModelError(f"its quantisation is {loaded['__quant_format__']!r}; {QUANTISED!r} is read.")
        loaded = _dequantised(loaded)
    weights = {str(name).removeprefix("_orig_mod."): tensor for name, tensor in loaded.items()}
    if not weights or not all(hasattr(tensor, "shape") for tensor in weights.values()):
        raise ModelError("it holds something other than tensors by name, so it is no state of a network.")
    return weights


def _inflated(content: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj()
        whole = inflater.decompress(content, MOST_BYTES)
    except zlib.error as error:
        raise ModelError(f"it is not compressed by zlib ({error}); lzma and brotli are not read.") from error
    if not inflater.eof:
        raise ModelError("it is cut off, or larger than any checkpoint.")
    return whole


def _loaded(content: bytes) -> dict[str, Any]:
    import pickle

    import torch

    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            "it is a pickle of more than tensors, which can run anything when it is read, so it is refused. Save the"
            " network's state alone: torch.save(model.state_dict(), FILE)"
        ) from error
    except Exception as error:  # readers of damaged files raise whatever they stumble over
        raise ModelError(f"torch cannot read it: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, dict):
        raise ModelError("it holds no state of a network.")
    return loaded


def _dequantised(content: dict[str, Any]) -> dict[str, Tensor]:
    """``q * scale`` with a scale per row of a matrix, or one for all; in the number type that the weight had."""
    import torch

    try:
        weights: dict[str, Tensor] = {}
        for name, codes in content["quantized"].items():
            scale = content["scales"][name].float()
            if scale.ndim:
                scale = scale.view(-1, *(1 for _ in codes.shape[1:]))
            weights[name] = (codes.float() * scale).to(_number_type(content["dtypes"][name]))
        before = content.get("passthrough_orig_dtypes", {})
        for name, tensor in content["passthrough"].items():
            weights[name] = tensor.to(_number_type(before[name])) if name in before else tensor
    except (KeyError, AttributeError, TypeError, RuntimeError) as error:
        raise ModelError(f"its int8 content is damaged: {type(error).__name__}: {error}") from error
    return {name: weight.to(torch.float32) for name, weight in weights.items()}


def _number_type(name: str) -> torch.dtype:
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    return known[name]

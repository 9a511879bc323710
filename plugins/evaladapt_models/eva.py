"""Artifacts: the models that evaladapt trains and packs, one ``.eva`` file each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evaladapt.artifact import find_artifact, read_artifact, read_tokenizer, shipped_artifacts
from evaladapt.errors import ArtifactError, DataError
from evaladapt.model.families import Opened, Placed, path_placed

if TYPE_CHECKING:
    import torch

    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

SUFFIX = ".eva"
HEADER_AT, HEADER_LOOKED_AT = 8, 64


class EvaFamily:
    """``default``, ``micro``, or a path."""

    summary = "artifacts of evaladapt (.eva), and the names of those that ship"
    wants = "an artifact: a .eva file (evaladapt pack makes one), or a name that ships"
    tokenizer_is_ours = True

    def claims(self, where: str) -> bool:
        """A shipped name, the suffix whether the file is there or not, or a safetensors file of our writing."""
        return where in shipped_artifacts() or where.endswith(SUFFIX) or _is_sealed(Path(where))

    def placed(self, where: str) -> Placed:
        """The file, also of one that ships."""
        return path_placed(str(shipped_artifacts().get(where, where)))

    def open(self, where: str, device: torch.device) -> Opened:
        """The transformer with the artifact's weights, and the tokenizer inside."""
        from evaladapt.model.backend import transformer_from_tensors

        artifact = read_artifact(find_artifact(where))
        tokenizer = _tokenizer(artifact.path, artifact.tokenizer_model)
        model = transformer_from_tensors(artifact.model_config, artifact.tensors)
        if model.vocab_size != tokenizer.vocab_size:
            raise ArtifactError(
                f"{artifact.path}: the model predicts {model.vocab_size} tokens and the tokenizer inside has"
                f" {tokenizer.vocab_size} pieces: they do not belong together. Pack the model with the tokenizer it was"
                " trained with: evaladapt pack CHECKPOINT --tokenizer FILE --out MODEL.eva"
            )
        return Opened(model.to(device).eval(), tokenizer, (artifact.path,))

    def open_tokenizer(self, where: str) -> SentencePieceTokenizer:
        """The tokenizer inside; weights are checked and not decoded, and torch is not imported."""
        path = find_artifact(where)
        return _tokenizer(path, read_tokenizer(path))


def _tokenizer(path: Path, model: bytes) -> SentencePieceTokenizer:
    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

    try:
        return SentencePieceTokenizer(model)
    except DataError as error:
        raise ArtifactError(f"{path}: the tokenizer inside cannot be used: {error}") from error


def _is_sealed(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(HEADER_LOOKED_AT)
    return start[HEADER_AT:].startswith(b'{"__metadata__":{"evaladapt":')

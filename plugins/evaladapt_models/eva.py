"""Artifacts: the models that evaladapt trains, and those of any family that it packs, one ``.eva`` file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaladapt.artifact import find_artifact, open_artifact, read_artifact, shipped_artifacts, tokenizer_in
from evaladapt.errors import ArtifactError, EvaladaptError
from evaladapt.model import families
from evaladapt.model.family import FAMILY, Opened, PackableFamily, Placed, path_placed

if TYPE_CHECKING:
    import torch

    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.model.backend import Backend
    from evaladapt.system.entry_points import Listing

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
        """The artifact's weights in the network of the family that it was packed from, and the tokenizer inside."""
        from evaladapt.model.backend import transformer_from_tensors

        artifact = read_artifact(find_artifact(where))
        path, config = artifact.path, artifact.model_config
        family = _family(path, config)
        tokenizer = _tokenizer(path, config, family, artifact.tokenizer_model)
        try:
            model = family.thaw(config, artifact.tensors) if family else None
        except EvaladaptError as error:
            raise ArtifactError(f"{path}: {error}") from error
        except Exception as error:  # whatever a stranger's family raises
            raise ArtifactError(
                f"{path}: thaw of the model family {config[FAMILY]!r} failed with {type(error).__name__}: {error}"
            ) from error
        if model is None:
            model = transformer_from_tensors(config, artifact.tensors).eval()
        if model.vocab_size != tokenizer.vocab_size:
            raise ArtifactError(
                f"{path}: the model predicts {model.vocab_size} tokens and the tokenizer inside has"
                f" {tokenizer.vocab_size} pieces: they do not belong together. Pack the model with the tokenizer it was"
                " trained with: evaladapt pack CHECKPOINT --tokenizer FILE --out MODEL.eva"
            )
        return Opened(_on(model, device), tokenizer, (path,))

    def open_tokenizer(self, where: str) -> Tokenizer:
        """The tokenizer inside, read by the family inside; weights are checked and not decoded."""
        file = open_artifact(find_artifact(where))
        config = file.manifest.model
        return _tokenizer(file.path, config, _family(file.path, config), tokenizer_in(file))

    def family_inside(self, where: str) -> str | None:
        """As the file's configuration says."""
        file = open_artifact(find_artifact(where))
        listing = _listing(file.path, file.manifest.model)
        return listing.alias if listing else None


def _listing(path: Path, config: Mapping[str, Any]) -> Listing | None:
    """The installed family that a packed model came from; None for evaladapt's own transformer."""
    if FAMILY not in config:
        return None
    try:
        return families.named(str(config[FAMILY]))
    except EvaladaptError as error:
        raise ArtifactError(f"{path} holds a model of another family: {error}") from error


def _family(path: Path, config: Mapping[str, Any]) -> PackableFamily | None:
    """The same, loaded."""
    listing = _listing(path, config)
    if listing is None:
        return None
    try:
        family = families.load(listing)
    except EvaladaptError as error:
        raise ArtifactError(f"{path} holds a model of another family: {error}") from error
    if not isinstance(family, PackableFamily):
        raise ArtifactError(f"{path}: the installed family {config[FAMILY]!r} cannot put a packed model together.")
    return family


def _tokenizer(path: Path, config: Mapping[str, Any], family: PackableFamily | None, content: bytes) -> Tokenizer:
    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

    try:
        return family.thaw_tokenizer(config, content) if family else SentencePieceTokenizer(content)
    except EvaladaptError as error:
        raise ArtifactError(f"{path}: the tokenizer inside cannot be used: {error}") from error


def _on(model: Backend, device: torch.device) -> Backend:
    moved: Backend = model.to(device)  # type: ignore[attr-defined]
    return moved


def _is_sealed(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(HEADER_LOOKED_AT)
    return start[HEADER_AT:].startswith(b'{"__metadata__":{"evaladapt":')

"""Models of other makes that are taken for a training: what they are, and which command is theirs."""

from __future__ import annotations

from pathlib import Path

from evaladapt.errors import DataError
from evaladapt.system.text import safe

ARTIFACT = "is an artifact already. Look into it: evaladapt artifact show {path}"
GGUF = "is a GGUF model, which opens as it is: evaladapt run hf:{path}"
TORCH_SAVE = "is a file of torch.save. A checkpoint of parameter-golf opens as it is: evaladapt run golf:{path}, or \
is frozen: evaladapt pack golf:{path}"
FOLDER = (
    "is a Hugging Face folder, which opens as it is: evaladapt run hf:{path}, or is frozen: evaladapt pack hf:{path}"
)
WEIGHTS = "holds weights as safetensors, but evaladapt train did not write it. A Hugging Face model opens as its \
folder: evaladapt run hf:{folder}, or is frozen: evaladapt pack hf:{folder}  (all kinds: evaladapt models list)"
BY_MAGIC = {b"GGUF": GGUF, b"PK\x03\x04": TORCH_SAVE, b"\x80\x02": TORCH_SAVE}
BY_SUFFIX = {".eva": ARTIFACT, ".gguf": GGUF, ".pt": TORCH_SAVE, ".ptz": TORCH_SAVE, ".pth": TORCH_SAVE}
LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header in eight bytes; then JSON follows."""


def refuse_other_models(path: Path) -> None:
    """Refuse what is a model of another kind, by its first bytes or its name. Raises :class:`DataError`."""
    if (path / "config.json").exists():
        raise _other(path, FOLDER)
    if path.is_dir():
        return
    if not path.is_file():
        raise DataError(f"{path} is not a regular file. Give the folder of a finished training.")
    try:
        with path.open("rb") as file:
            start = file.read(LENGTH_BYTES + 1)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    if start[LENGTH_BYTES:] == b"{":
        return
    magic = next((sentence for magic, sentence in BY_MAGIC.items() if start.startswith(magic)), None)
    sentence = magic or BY_SUFFIX.get(path.suffix.lower())
    if sentence:
        raise _other(path, sentence)


def foreign_weights(path: Path, *, sealed: bool) -> DataError:
    """The error for safetensors that ``evaladapt train`` did not write; ``sealed`` where they are an artifact."""
    return _other(path, ARTIFACT if sealed else WEIGHTS)


def _other(path: Path, sentence: str) -> DataError:
    name, folder = safe(str(path)), safe(str(path.parent))
    return DataError(f"{name} {sentence.format(path=name, folder=folder)}")

"""Getting the bytes of a file that claims to be an artifact, and naming what it is when it is something else."""

from __future__ import annotations

from pathlib import Path

from evaladapt.artifact.limits import Limits
from evaladapt.artifact.problems import LimitExceeded, NotAnArtifact
from evaladapt.errors import DataError
from evaladapt.system.files import FileTooLarge, read_regular

GIT_LFS_POINTER = b"version https://git-lfs"
OTHER_KINDS = {
    b"\x1f\x8b": "a gzip file. Unpack it first: gunzip FILE",
    b"PK\x03\x04": "a zip archive, maybe of torch.save. One of parameter-golf opens as it is: evaladapt run golf:FILE",
    b"\xfd7zXZ": "an xz file. Unpack it first: unxz FILE",
    b"(\xb5/\xfd": "a zstandard file. Unpack it first: unzstd FILE",
    b"\x80\x02": "a pickle, which evaladapt never loads. Save its weights as safetensors",
    b"GGUF": "a GGUF model, which opens as it is: evaladapt run hf:FILE",
}


def read_regular_file(path: str | Path, limits: Limits) -> bytes:
    """All bytes of a regular file. Folders, pipes and devices are refused without waiting on them.

    Raises:
        NotAnArtifact: missing, unreadable, or no regular file.
        LimitExceeded: larger than the limit; it is not read.
    """
    try:
        return read_regular(path, limits.file_bytes)
    except FileTooLarge as error:
        raise LimitExceeded(str(error)) from error
    except DataError as error:
        raise NotAnArtifact(f"{error} Give the .eva file itself.") from error


def refuse_other_kinds(content: bytes) -> None:
    """Recognise files that are commonly taken for artifacts. Raises :class:`NotAnArtifact`."""
    if not content:
        raise NotAnArtifact("The file is empty.")
    if content.startswith(GIT_LFS_POINTER):
        raise NotAnArtifact("This is a git-LFS pointer, not the file it points to. Fetch it: git lfs pull")
    for magic, kind in OTHER_KINDS.items():
        if content.startswith(magic) and not _header_follows(content):
            raise NotAnArtifact(f"This is {kind}")


def _header_follows(content: bytes) -> bool:
    """Whether the bytes look like safetensors after all: the length of a header may begin with any bytes."""
    return content[8:9] == b"{"

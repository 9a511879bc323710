"""What can be wrong with an artifact, one type per kind of remedy.

All are :class:`evaladapt.errors.ArtifactError` (exit code 5). The message says what is wrong; the type says what
helps: fetch the right file, fetch it again, update evaladapt, or raise a limit.
"""

from __future__ import annotations

from evaladapt.errors import ArtifactError


class NotAnArtifact(ArtifactError):
    """The path holds something else: a folder, a git-LFS pointer, a gzip file, plain safetensors."""


class DamagedArtifact(ArtifactError):
    """The file contradicts itself: cut off, changed, or put together wrongly."""


class UnsupportedArtifact(ArtifactError):
    """A format, quantiser or coder that this version of evaladapt does not know."""


class LimitExceeded(ArtifactError):
    """The file asks for more than :class:`evaladapt.artifact.limits.Limits` grants."""


class ArtifactTooLarge(ArtifactError):
    """The weights do not fit into the number of bytes that was asked for."""

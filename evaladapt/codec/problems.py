"""What can be wrong with an ``.evz`` file. Exit code 5, like everything that is wrong with an input."""

from __future__ import annotations

from evaladapt.errors import DataError


class CodecError(DataError):
    """The file is damaged, no ``.evz`` file, or belongs to another artifact, composition, version or machine."""


class PayloadEndsError(CodecError):
    """The decoder wants more than was written."""

"""Errors a person may see, each with the exit code of the process it ends.

Every message names the thing, the near miss where there is one, what is there instead, and the next command.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONTRACT = 3
EXIT_PLUGIN = 4
EXIT_INPUT = 5
EXIT_INTERRUPTED = 130


class EvaladaptError(Exception):
    """A run failed for a reason that can be told in one message."""

    exit_code = EXIT_FAILED


class UsageError(EvaladaptError):
    """The command, an option or the composition is wrong."""

    exit_code = EXIT_USAGE


class ContractViolation(EvaladaptError):
    """A strategy broke a clause of the contract; ``clause`` is C1, C2, C3, C4, D or W.

    ``positions`` are stream indices of targets where it was seen, where they are known.
    """

    exit_code = EXIT_CONTRACT

    def __init__(
        self, message: str, *, clause: str, strategy: str | None = None, positions: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.clause = clause
        self.strategy = strategy
        self.positions = positions


class PluginError(EvaladaptError):
    """A strategy is missing, broken, or raised."""

    exit_code = EXIT_PLUGIN


class ArtifactError(EvaladaptError):
    """An artifact is damaged, unknown or dishonest about itself."""

    exit_code = EXIT_INPUT


class ModelError(EvaladaptError):
    """A model cannot be found or opened."""

    exit_code = EXIT_INPUT


class DataError(EvaladaptError):
    """A text, shard or tokenizer cannot be used."""

    exit_code = EXIT_INPUT


def near_miss(wrong: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"``, or nothing where no known name is close."""
    close = get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""

"""What ``torchrun`` says in the environment, for commands; without torch, so that usage errors stay quick."""

from __future__ import annotations

import os
import sys

from evaladapt.errors import EvaladaptError, PluginError, UsageError

TOGETHER = ("run", "train", "verify")
"""Commands that several processes carry out together; any other would be done once by each."""


def rank() -> int:
    """Number of this process; the first writes files and prints."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def refuse_repetition(command: str | None) -> None:
    """Raise :class:`UsageError` for a command that one process carries out."""
    if count() > 1 and command is not None and command not in TOGETHER:
        raise UsageError(
            f"{count()} processes would each carry out evaladapt {command}; start it without torchrun."
            f" Several processes share: {', '.join(TOGETHER)}"
        )


def speaks(error: EvaladaptError) -> bool:
    """Whether this process should tell about an error: the first does, another about what the first cannot know."""
    if rank() == 0:
        return True
    if isinstance(error, UsageError | PluginError) and not _joined():
        return False
    return type(error).__name__ != "ProcessLost"


def _joined() -> bool:
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and bool(distributed.is_initialized())

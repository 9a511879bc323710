"""Decoding alone: while strategies predict, the process reads no file but the program itself, and asks nobody else.

A decoder has the artifact, the options and the coded bytes. On the machine that wrote the file the text itself is often
a few folders away, and whatever a strategy left on disk while it encoded is there too; with those at hand a decoding
would prove nothing. Python reports every file it opens to audit hooks (PEP 578), and this one refuses.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, all_suffixes
from pathlib import Path
from typing import Any

SYSTEM_FOLDERS = ("/proc", "/sys", "/dev")
CODE_SUFFIXES = tuple(all_suffixes())
METADATA_SUFFIXES = (".dist-info", ".egg-info")
"""Code is part of the decoder wherever it lies, and so is what says which strategies are installed."""
ASKING_OTHERS = frozenset({"socket.connect", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork"})


@dataclass
class _Guard:
    """What the hook, which cannot be taken out of an interpreter again, goes by."""

    active: bool = False
    installed: bool = False
    allowed: tuple[str, ...] = ()
    refused: list[str] = field(default_factory=list)


_GUARD = _Guard()


@contextmanager
def alone(own_files: Sequence[Path] = ()) -> Iterator[list[str]]:
    """Inside the block, reading a file outside the installed program raises ``PermissionError``.

    Args:
        own_files: files that may be read all the same, like the checkpoint.

    Yields:
        What was refused, in order, for the message.
    """
    if not _GUARD.installed:
        sys.addaudithook(_hook)
        _GUARD.installed = True
    _GUARD.allowed = (*_program_folders(), *(os.path.realpath(path) for path in own_files))
    _GUARD.refused = []
    _GUARD.active = True
    try:
        yield _GUARD.refused
    finally:
        _GUARD.active = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _GUARD.active:
        return
    if event == "open" and _reads(arguments[1], arguments[2]) and not _is_allowed(arguments[0]):
        _refuse(f"read {arguments[0]}")
    elif event in ASKING_OTHERS:
        _refuse(f"use {event}")


def _refuse(what: str) -> None:
    _GUARD.refused.append(what)
    raise PermissionError(f"tried to {what}, which a decoder does not have")


def _reads(mode: str | None, flags: int) -> bool:
    """Whether a file is opened for reading; ``mode`` is None where it was opened by ``os.open``."""
    if mode is not None:
        return "r" in mode or "+" in mode
    return flags & (os.O_WRONLY | os.O_RDWR) != os.O_WRONLY


def _is_allowed(path: object) -> bool:
    if isinstance(path, int):
        return True
    place = os.path.realpath(os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else "")
    if any(place == one or place.startswith(one.rstrip(os.sep) + os.sep) for one in _GUARD.allowed):
        return True
    is_code = place.endswith(CODE_SUFFIXES) or os.path.dirname(place).endswith(METADATA_SUFFIXES)
    return is_code or not os.path.exists(place)


def _program_folders() -> list[str]:
    """Standard library and installed packages, where imports that come late still read."""
    folders = {*SYSTEM_FOLDERS, *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))}
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        if isinstance(spec, ModuleSpec):
            folders.update(spec.submodule_search_locations or ())
    return sorted(map(os.path.realpath, folders))

"""What a piece of code opened: files, sockets, processes, by the interpreter's audit events.

An audit hook of the interpreter cannot be removed, so there is one for the process, silent unless somebody listens.
Reading program code, the interpreter's own files and the machine's description is not counted.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CODE_SUFFIXES = (".py", ".pyc", ".so", ".pth", ".egg-link", "METADATA", "entry_points.txt", "RECORD")
MACHINE = ("/proc/cpuinfo", "/proc/meminfo", "/proc/self/status", "/proc/self/maps", "/proc/self/cgroup", "/sys/",
           "/dev/null", "/dev/urandom")  # fmt: skip
OUTSIDE_EVENTS = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec",
                  "urllib.Request")  # fmt: skip

_listening = threading.local()
_installed: list[bool] = []


@contextmanager
def listening(report: Callable[[str], None]) -> Iterator[None]:
    """Report what this thread opens inside the block."""
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    before = getattr(_listening, "report", None)
    _listening.report = report
    try:
        yield
    finally:
        _listening.report = before


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    report = getattr(_listening, "report", None)
    if report is None:
        return
    if event == "open":
        path, mode, flags = (*arguments, None, None, None)[:3]
        if isinstance(path, str | bytes | os.PathLike) and _reads(mode, flags) and not _is_harmless(os.fsdecode(path)):
            report(f"read the file {os.fsdecode(path)}")
    elif event in OUTSIDE_EVENTS:
        report(f"{event} {arguments[0] if event != 'socket.connect' else arguments[1:]}")


def _reads(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return "r" in mode or "+" in mode
    return not isinstance(flags, int) or flags & os.O_ACCMODE != os.O_WRONLY


def _is_harmless(path: str) -> bool:
    return path.endswith(CODE_SUFFIXES) or path.startswith(MACHINE)

"""A child process as it is seen from outside: stopped, looked at, ended with all that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
PROC = Path("/proc")
STOPPING_SECONDS = ENDING_SECONDS = 10.0


@dataclass(frozen=True)
class Seen:
    """One process of a group: its id, its parent's, when it started (in clock ticks since boot) and its state."""

    pid: int
    parent: int
    started: int
    state: str


class Child:
    """A process in a session of its own, so that whatever it leaves behind can be found and ended with it.

    Attributes:
        pid: its id, which is that of its group too.
        output: what it prints.
    """

    def __init__(self, pid: int, output: IO[bytes], wait: Callable[[float], int | None]) -> None:
        self.pid, self.output, self._wait = pid, output, wait
        self._status: int | None = None

    def ended(self, seconds: float = 0.0) -> int | None:
        """Its exit status, negative for a signal; None where it still runs after so many seconds."""
        if self._status is None:
            self._status = self._wait(seconds)
        return self._status

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside the block no thread of it runs, nor of what it started; after it, this process alone goes on.

        The signal goes to the group, because no fork gets away from it: whoever looks for single processes can miss one
        that forks and ends all the time.
        """
        self.stop()
        try:
            yield
        finally:
            self.go_on()

    def stop(self) -> None:
        """Until :meth:`go_on`."""
        os.killpg(self.pid, signal.SIGSTOP)
        self._await_stop()

    def go_on(self) -> None:
        """This process alone; nothing where it has gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def _await_stop(self) -> None:
        """Processes stop thread by thread."""
        until = time.monotonic() + STOPPING_SECONDS
        while time.monotonic() < until:
            states = [state for pid in (self.pid, *(one.pid for one in group(self.pid))) for state in _states(pid)]
            if set(states) <= set("TZX"):
                return
            time.sleep(0.0005)

    def end(self) -> None:
        """Kill it with everything that it started, and wait."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.ended(ENDING_SECONDS)
        self.output.close()


def _states(pid: int) -> list[str]:
    """Of every thread; none once the process is gone."""
    found = []
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            found.append((thread / "stat").read_text().rpartition(")")[2].split(maxsplit=1)[0])
    return found


def end_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, and end now if it has; a fork has to ask again."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def group(leader: int) -> list[Seen]:
    """All processes of a group, by id; only where the system has ``/proc``.

    One whose first thread has ended is told to be a zombie, and its other threads may run on.
    """
    found = []
    for name in os.listdir(PROC):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"{PROC}/{name}/stat", "rb", buffering=0) as file:
                state, parent, its_group, *rest = file.read().rpartition(b")")[2].split(maxsplit=20)
                if int(its_group) == leader and (state not in b"ZX" or not set(_states(int(name))) <= set("ZX")):
                    found.append(Seen(int(name), int(parent), int(rest[16]), state.decode()))
    return sorted(found, key=lambda one: one.pid)


def descriptors(pid: int) -> dict[int, str]:
    """What every open descriptor of a process is, as ``/proc`` tells it."""
    found = {}
    for place in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):
            found[int(place.name)] = os.readlink(place)
    return found


def shared_memory(pid: int) -> list[str]:
    """Mappings of a process that another may write to: shared ones, but for read-only files of the system."""
    lines = (PROC / str(pid) / "maps").read_text().splitlines()
    mappings = (line.split(maxsplit=5) for line in lines)
    return [
        " ".join(one[5:]) or "anonymous"
        for one in mappings
        if one[1][3] == "s" and not (one[1][1] == "-" and one[-1].startswith(("/usr/", "/lib")))
    ]

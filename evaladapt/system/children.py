"""A child process as its parent sees it from outside: started with nothing that it is not given, stopped, looked at."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
PROC = Path("/proc")
STOPPING_SECONDS = 10.0


@dataclass(frozen=True)
class Seen:
    """One process of a group: its id, its parent's, when it started (in clock ticks since boot) and its state."""

    pid: int
    parent: int
    started: int
    state: str


class Child:
    """A program in a session of its own, so that whatever it leaves behind can be found and ended with it."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], keep: Sequence[int], folder: Path
    ) -> None:
        self._process = subprocess.Popen(
            command, env=dict(environment), pass_fds=keep, cwd=folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its id, which is that of its group too."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """What it prints."""
        if self._process.stdout is None:
            raise RuntimeError("a child was started without a pipe for its output")
        return self._process.stdout

    def ended(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside the block none of its threads runs."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            self._await_stop()
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    def _await_stop(self) -> None:
        until = time.monotonic() + STOPPING_SECONDS
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(0.0005)

    def end(self) -> None:
        """Kill it with everything that it started, and wait."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self.output.close()


def end_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, and end now if it has; a fork has to ask again."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def group(leader: int) -> list[Seen]:
    """All processes of a group, by id; only where the system has ``/proc``."""
    found = []
    for name in os.listdir(PROC):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"{PROC}/{name}/stat", "rb", buffering=0) as file:
                state, parent, its_group, *rest = file.read().rpartition(b")")[2].split(maxsplit=20)
                if int(its_group) == leader and state not in b"ZX":
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

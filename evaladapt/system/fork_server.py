"""A program that has imported what every child needs, and forks: a child then starts in milliseconds, not seconds.

Nobody tells it anything but descriptors, a folder and words, so a fork of it knows what a fresh program would know. A
fork has one thread, whatever the imports started.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from evaladapt.system.children import Child, end_with_parent
from evaladapt.system.wire import Wire, WireError

START, WAIT, SAID = range(1, 4)
MOST_WORDS = 1 << 20
MOST_DESCRIPTORS = 16
NUMBER, WAITED = struct.Struct("<q"), struct.Struct("<qd")
RUNS = 1 << 16
"""No exit status."""
TICK, LOOK_FOR_PARENT = 0.001, 0.2
"""Seconds between two looks at a child that is waited for, and at the parent."""
Run = Callable[[list[int], list[str]], int]


class ForkServer:
    """The parent's side: starts the server, has it fork, and asks it how its children ended.

    Children end with the server, and the server with this process or at :meth:`close`. Threads may share it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._parent = os.getpid()
        self._socket, theirs = socket.socketpair()
        self._line, self._turn = Wire(self._socket.fileno()), threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid())], env=dict(environment),
                pass_fds=[theirs.fileno()], cwd="/", start_new_session=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip

    @property
    def lives(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def start(self, keep: Sequence[int], folder: Path, words: Sequence[str] = ()) -> Child:
        """A fork in a session of its own that works in ``folder`` and has the descriptors ``keep`` and no others.

        It runs what the server was made to run, with the numbers that ``keep`` has there, and ``words``.

        Raises:
            ChildProcessError: the server has ended.
        """
        reads, writes = os.pipe()
        try:
            pid = self._asked(START, json.dumps([str(folder), *words]).encode(), [writes, *keep])
        except ChildProcessError:
            os.close(reads)
            raise
        finally:
            os.close(writes)
        return Child(pid, os.fdopen(reads, "rb"), partial(self._wait, pid))

    def close(self) -> None:
        """End it, with all of its children; a fork of the parent lets go of it."""
        if self._parent == os.getpid():
            self._process.kill()
            self._process.wait()
        self._socket.close()

    def _wait(self, pid: int, seconds: float) -> int | None:
        """The exit status of a child; None where it runs on. Children do not outlive the server."""
        try:
            status = self._asked(WAIT, WAITED.pack(pid, seconds))
        except ChildProcessError:
            return -signal.SIGKILL
        return None if status == RUNS else status

    def _asked(self, kind: int, content: bytes, descriptors: Sequence[int] = ()) -> int:
        try:
            with self._turn:
                socket.send_fds(self._socket, [bytes([kind])], descriptors)
                self._line.send(kind, content)
                return int(NUMBER.unpack(self._line.receive({SAID: NUMBER.size})[1])[0])
        except (OSError, WireError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            raise ChildProcessError(f"the server has ended, {told(self._process.poll())}") from None


def told(status: int | None) -> str:
    """How a process ended, in words."""
    if status is None:
        return "without a word"
    return f"by signal {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"


def serve(line: int, parent: int, run: Run) -> int:
    """The server's side: fork whenever it is asked to, until the parent has gone.

    Args:
        line: descriptor of the connection to the parent.
        parent: process id of it.
        run: what a fork does, with its descriptors and words; returns the exit status.
    """
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page it marks
    connection, wire = socket.socket(fileno=line), Wire(line)
    while _is_asked(connection, parent):
        kind, descriptors, *_ = socket.recv_fds(connection, 1, MOST_DESCRIPTORS)
        if not kind:
            break
        content = wire.receive({START: MOST_WORDS, WAIT: WAITED.size})[1]
        said = _status(*WAITED.unpack(content)) if kind[0] == WAIT else _forked(json.loads(content), descriptors, run)
        wire.send(SAID, NUMBER.pack(said))
    return 0


def _is_asked(connection: socket.socket, parent: int) -> bool:
    while os.getppid() == parent:
        if select.select([connection], [], [], LOOK_FOR_PARENT)[0]:
            return True
    return False


def _status(pid: int, seconds: float) -> int:
    until = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return RUNS
        time.sleep(TICK)


def _forked(said: list[str], descriptors: list[int], run: Run) -> int:
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(server, said, descriptors, run)
    for one in descriptors:
        os.close(one)
    return pid


def _be_child(server: int, said: list[str], descriptors: list[int], run: Run) -> None:
    """Never returns."""
    status = 1
    try:
        os.setsid()
        end_with_parent(server)
        folder, *words = said
        output, *kept = descriptors
        os.dup2(output, 1)
        os.dup2(output, 2)
        _close_all_but(kept)
        os.chdir(folder)
        status = run(kept, words)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)


def _close_all_but(kept: Sequence[int]) -> None:
    """Beyond the three standard ones."""
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for below, above in pairwise(edges):
        os.closerange(below + 1, above)

"""Starting a player, sealing it, looking it over before a word is said, and hearing what comes from it.

A player is a fresh program. It is given an artifact and names of strategies; no argument, variable, descriptor or page
of it leads to a text, and the text is opened after it is sealed. Whatever it says is checked for kind and size here.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.engine.player.failure import unpack_failure
from evaladapt.engine.player.protocol import MOST_JSON, MOST_NAME, SEGMENT_BYTES, Kind
from evaladapt.errors import EvaladaptError, PluginError
from evaladapt.judge.player.forking import start_player
from evaladapt.judge.player.ready import read_ready
from evaladapt.judge.player.recipe import Recipe
from evaladapt.system.children import PROC, descriptors, group, shared_memory
from evaladapt.system.fork_server import told
from evaladapt.system.seal.supervisor import Supervisor
from evaladapt.system.segment import new_segment
from evaladapt.system.text import safe
from evaladapt.system.wire import Wire, WireClosed, WireError, WireSilent

PATIENCE = 600.0
"""Seconds that a player may take for one answer before it counts as hanging."""
MOST_FAILURE = 64 << 10
MOST_OUTPUT = 1 << 20
"""Bytes of a player's own printing that are passed on."""
SEGMENT = "evaladapt-answers"
UNSUPERVISED = "a kernel before 5.7: a strategy that is imported can keep the second seal from being put on"


@dataclass(frozen=True)
class SealedBy:
    """How a player is held, and what that leaves open on this system."""

    mechanisms: tuple[str, ...]
    open: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether it can reach no file, socket or process any more."""
        return "seccomp" in self.mechanisms


class PlayerHangsError(PluginError):
    """A player did not answer in time; another time it may, on a machine that is not suspended or less busy."""


class Player:
    """A player from its start to its end; a context manager, because nothing of it may stay."""

    def __init__(self, recipe: Recipe, patience: float = PATIENCE) -> None:
        self.recipe, self.patience = recipe, patience
        memory = _memory_for_answers()
        self._folder = tempfile.TemporaryDirectory(prefix="evaladapt-player-")
        ours, theirs = socket.socketpair()
        our_twin, their_twin = socket.socketpair()
        self._segment = mmap.mmap(memory, SEGMENT_BYTES)
        numbers = [theirs.fileno(), their_twin.fileno(), memory]
        self.twin_descriptor = f"socket:[{os.fstat(their_twin.fileno()).st_ino}]"
        known = f"socket:[{os.fstat(theirs.fileno()).st_ino}]"
        self.child = start_player(recipe.device, recipe.threads, recipe.processes, numbers, Path(self._folder.name))
        pipe = f"pipe:[{os.fstat(self.child.output.fileno()).st_ino}]"
        self._known = {known, self.twin_descriptor, pipe, os.devnull}
        theirs.close()
        their_twin.close()
        os.close(memory)
        self._ours, self._twins = ours, our_twin
        self.line, self.twin_line = Wire(ours.fileno()), Wire(our_twin.fileno())
        self._supervisor = Supervisor(our_twin)
        self._passed_on = 0
        self._whose = ",".join(recipe.names) or "the plan"
        self.line.send(Kind.RECIPE, recipe.to_json())

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End it with everything it started."""
        self.child.end()
        self._supervisor.stop()
        for one in (self._ours, self._twins):
            one.close()
        self._segment.close()
        self._folder.cleanup()

    def ready(self) -> dict[str, Any]:
        """What it says of model and strategies, once they are loaded.

        Raises:
            EvaladaptError: as it told, or a :class:`PluginError` because it went away, hung or talked nonsense.
        """
        recipe = self.recipe
        plan = self.receive({Kind.PLAN: MOST_NAME})[1].decode(errors="replace") if recipe.base else None
        content = self.receive({Kind.READY: MOST_JSON})[1]
        return read_ready(content, model=recipe.model, names=recipe.names, plan=plan, device=recipe.device)

    def seal(self) -> SealedBy:
        """Have it sealed, and look at it from outside before anything is said.

        Raises:
            PluginError: it holds something that leads out of it.
        """
        self.line.send(Kind.SEAL)
        said = _json(self.receive({Kind.SEALED: MOST_JSON})[1])
        sealed = SealedBy(tuple(map(str, said["mechanisms"])), tuple(map(str, said["open"])))
        if not self._supervisor.stop() and sealed.holds:
            sealed = SealedBy(sealed.mechanisms, (*sealed.open, UNSUPERVISED))
        if not PROC.exists():
            return SealedBy(sealed.mechanisms, (*sealed.open, "no /proc: nobody looked at its descriptors and memory"))
        self._refuse_ways_out()
        if "seccomp" in sealed.mechanisms and _filters(self.child.pid) < 2:
            raise PluginError(f"the player of {self._whose} says that it is sealed, and the system says that it is not")
        return sealed

    def receive(self, limits: Mapping[int, int]) -> tuple[int, bytes]:
        """Its next message, of a kind and size that is due.

        Raises:
            EvaladaptError: what went wrong in it, or that it hangs, has gone, or said what was not due.
        """
        allowed = {**limits, Kind.FAILED: MOST_FAILURE}
        try:
            kind, content = self.line.receive(allowed, self.patience, {self.child.output.fileno(): self._pass_on})
        except WireSilent:
            silent = f"the player did not answer for {self.patience:.0f} s; it hangs"
            raise PlayerHangsError(f"{self._whose}: {silent}") from None
        except WireClosed:
            raise PluginError(f"{self._whose}: the player ended {self._how_it_ended()}") from None
        except WireError as error:
            raise PluginError(f"{self._whose}: the player was asked for distributions, and {error}") from None
        if kind == Kind.FAILED:
            raise unpack_failure(content)
        return kind, content

    def say(self, kind: Kind, *pieces: bytes | memoryview) -> None:
        """Send it a message.

        Raises:
            PluginError: it has gone.
        """
        try:
            self.line.send(kind, *pieces)
        except WireClosed:
            raise PluginError(f"{self._whose}: the player ended {self._how_it_ended()}") from None

    def answer(self, rows: int, columns: int) -> NDArray[np.float32]:
        """A copy of the distributions [rows,columns] in the shared memory: it may write there at any time."""
        return np.frombuffer(self._segment, dtype="<f4", count=rows * columns).reshape(rows, columns).copy()

    def _refuse_ways_out(self) -> None:
        others = [one.pid for one in group(self.child.pid) if one.pid != self.child.pid]
        if others:
            raise PluginError(f"{self._whose}: a strategy left {len(others)} processes running when it was loaded")
        odd = [what for what in descriptors(self.child.pid).values() if what not in self._known]
        if odd and self.recipe.processes == 1:
            raise PluginError(f"{self._whose}: a strategy keeps {odd[0]} open, which leads out of the player; close it"
                              " when it is loaded")  # fmt: skip
        shared = [one for one in shared_memory(self.child.pid) if SEGMENT not in one]
        if shared:
            raise PluginError(f"{self._whose}: a strategy keeps shared memory ({shared[0]}), which a fork would share;"
                              " private memory does the same: mmap.mmap(-1, n, flags=mmap.MAP_PRIVATE)")  # fmt: skip

    def _how_it_ended(self) -> str:
        return told(self.child.ended(5))

    def _pass_on(self) -> None:
        """A player's printing goes to stderr, with its name before every line, so that it can forge no table."""
        content = os.read(self.child.output.fileno(), 1 << 16)
        left = MOST_OUTPUT - self._passed_on
        self._passed_on += len(content)
        for line in content[: max(0, left)].decode(errors="replace").splitlines():
            print(f"[{self._whose}] {safe(line)}", file=sys.stderr)


def _memory_for_answers() -> int:
    try:
        return new_segment(SEGMENT, SEGMENT_BYTES)
    except OSError as error:
        raise EvaladaptError(
            f"{SEGMENT_BYTES >> 20} MB of memory that is shared with a player cannot be had ({error.strerror}): see"
            " free memory, and `ulimit -f`, which counts such memory as a file"
        ) from None


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PluginError("the player talks nonsense where it should say what it is")
    return found


def _filters(pid: int) -> int:
    """How many seccomp filters the kernel says a process has."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("Seccomp_filters:"):
            return int(line.split()[1])
    return 2


def refuse_unsealed(sealed: SealedBy) -> str | None:
    """Why a run under this seal is UNCHECKED; None where it is sealed."""
    return None if sealed.holds else "no seal: " + ("; ".join(sealed.open) or "this system has none")

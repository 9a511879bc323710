"""Twins: copies of the player from before it was told a batch, asked after it has answered.

A twin is stopped while the player runs, and the player, with whatever it started, while its twin is asked: they never
run side by side, or one could watch what the other does to the machine. The twin holds nothing but its own line, and
every target is asked of a fresh fork of it. So what comes back is what the composition says of a target when it is told
the target's prefix and nothing else, whatever the player said.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaladapt.engine.player.protocol import Kind, Question, Rows
from evaladapt.engine.windows import Batch
from evaladapt.errors import PluginError
from evaladapt.judge.charging import HeldText, Logprobs
from evaladapt.judge.doubt.answers import Answers
from evaladapt.judge.doubt.conviction import Counterexample, Difference, NoncausalError, apart
from evaladapt.judge.doubt.looks import SHARE_OF_TIME, Looks
from evaladapt.judge.player.players import Player
from evaladapt.system.children import Seen, descriptors, group, shared_memory
from evaladapt.system.parting import part
from evaladapt.system.wire import Wire, WireError

GROUP_TARGETS, LARGE_GROUP_TARGETS = 1024, 2048
"""A twin serves batches until they hold so many targets, because a fork takes time. A look replays the batches of the
group before its own; where they need not be predicted again, it can serve more."""
GROUP_BYTES = 256 << 20
"""Of the distributions of a group, which are kept until its twin is dismissed."""
LOOK_PATIENCE = 120.0
"""Seconds that a look may take at least; where the player took long for its group, so may a look at it."""
TIMES_THE_GROUP = 4
ENDING_SECONDS = 5.0


@dataclass
class _Group:
    """Batches between two forks: their first target, their twin, and what the player said and was charged."""

    frontier: int
    twin: Seen
    parted: Future[int]
    """Done when the twin has pages of its own: by its writes' times it could tell where the player wrote meanwhile."""
    batches: list[Batch] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    charges: list[NDArray[np.float64]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    """What the player took for them."""
    asked: bool = False
    quiet: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """While it is open, all but the twin are stopped."""


class Twins:
    """Keeps a twin of a player, and asks it.

    Args:
        seconds_before: what the base pass took: looks get a share of the time of both.

    Attributes:
        failed: looks that got no answer; with any, a run is never called causal.
        shares_memory: why a twin could have told what the player wrote, which is the same; None where none could.
    """

    def __init__(
        self,
        player: Player,
        text: HeldText,
        free: NDArray[np.bool_],
        looks: Looks,
        *,
        rows: Rows,
        vocab_size: int,
        replays_cheaply: bool,
        strategies: tuple[str, ...],
        seconds_before: float = 0.0,
    ) -> None:
        self._player, self._text, self._free, self.looks = player, text, free, looks
        self._rows, self._strategies = rows, strategies
        wanted = LARGE_GROUP_TARGETS if replays_cheaply else GROUP_TARGETS
        self._group_targets = min(wanted, GROUP_BYTES // (4 * vocab_size))
        self._group: _Group | None = None
        self._beside = ThreadPoolExecutor(max_workers=1)
        self._begun, self._spent, self._before = 0.0, 0.0, seconds_before
        self.asked: list[int] = []
        self.failed = 0
        self.shares_memory: str | None = None
        self.worst = 0.0

    def wants_fork(self, batch: Batch) -> bool:
        """Whether a new group begins with this batch."""
        if self._group is None:
            return True
        self._group.batches.append(batch)
        return False

    def forked(self, batch: Batch, pid: int) -> None:
        """Take note of the twin, the one new process of the player's group, and leave it stopped.

        Raises:
            PluginError: there are others, or none.
        """
        cut_off = self._cut_off(pid)
        with self._player.child.stopped():
            twin = self._only_child(pid)
        if twin is None:
            raise PluginError("the player started processes of its own, which no strategy may")
        if not cut_off:
            raise PluginError("a strategy keeps a way from the player to its twin open")
        self._begun = self._begun or time.perf_counter()
        self._group = _Group(batch.frontier, twin, self._beside.submit(part, twin.pid), [batch])

    def answered(self, first: int, logprobs: Logprobs, charges: NDArray[np.float64]) -> None:
        """Keep what the player said, and what was charged."""
        if self._group:
            self._group.answers.add(logprobs)
            self._group.charges.append(charges)

    def close(self, batch: Batch) -> None:
        """A batch is answered; if its group is full, draw, ask, and dismiss the twin.

        Raises:
            NoncausalError: a twin says otherwise than the player.
        """
        one = self._group
        last = batch.end > self._text.targets
        if one is None or (batch.end - one.frontier < self._group_targets and not last):
            return
        one.seconds = time.perf_counter() - one.started
        try:
            if not self.asked:
                self._ask_about(one, self.looks.first_of(one.frontier, self._free[one.frontier : batch.end]))
            self._budget(batch.end - 1)
            charges = np.concatenate(one.charges)
            self._ask_about(one, self.looks.of_group(one.frontier, charges, self._free[one.frontier : batch.end]))
        finally:
            self._dismiss(one)

    def forget(self) -> None:
        """Let go of what a run left that ended in the middle of a group; its twin ends with the player."""
        self._beside.shutdown()
        if self._group:
            self._group.answers.close()

    def _ask_about(self, one: _Group, targets: list[int]) -> None:
        """Ask, with all but the twin stopped from here on; no more once a look failed: nothing can follow then."""
        if not targets or self.failed:
            return
        begun = time.perf_counter()
        if not one.asked:
            self._await_parting(one)
            one.quiet.enter_context(self._player.child.stopped())
            os.kill(one.twin.pid, signal.SIGCONT)
            one.asked = True
        for target in targets:
            if not self.failed:
                self._look(one, target)
        self._spent += time.perf_counter() - begun

    def _await_parting(self, one: _Group) -> None:
        try:
            one.parted.result()
        except OSError as error:
            self.shares_memory = f"twins could tell where the player wrote, by memory they shared ({error.strerror})"

    def _budget(self, done: int) -> None:
        """How many looks their share of the run's time buys, by what they have cost so far."""
        if self.asked and not self.looks.every_batch:
            played = time.perf_counter() - self._begun - self._spent
            whole = self._before + played * self._text.targets / done
            self.looks.afford(int(SHARE_OF_TIME * whole / (self._spent / len(self.asked))))

    def _look(self, one: _Group, target: int) -> None:
        said = one.answers.of(target - one.frontier)
        self.asked.append(target)
        token = int(self._text.tokens[target])
        difference = self._difference(one, target, said, token, whole_shape=self.looks.by_shape)
        if difference and difference.counts and not self.looks.by_shape:
            self.looks.by_shape = True
            difference = self._difference(one, target, said, token, whole_shape=True)
        if difference is None:
            self.failed += 1
            return
        self.worst = max(self.worst, difference.nats)
        if difference.counts:
            raise NoncausalError(self._counterexample(one, target, said, token), self._strategies)

    def _difference(
        self, one: _Group, target: int, said: Logprobs, token: int, *, whole_shape: bool
    ) -> Difference | None:
        found = self._ask(one, target, whole_shape=whole_shape)
        return None if found is None else apart(said, found[-1], token)

    def _ask(self, one: _Group, target: int, *, whole_shape: bool = False, trail: bool = False,
             seeing: int | None = None) -> Logprobs | None:  # fmt: skip
        """What the twin says of a target [K,V]; None where it does not answer.

        ``seeing`` tells it tokens up to there instead of up to the target, as the player was told them.
        """
        self._refuse_company(one)
        batch = next(batch for batch in one.batches if target < batch.end)
        until = target if seeing is None else seeing
        before = np.concatenate(one.charges)[: batch.frontier - one.frontier]
        question = Question(target, whole_shape, self._rows, trail, self._text.tokens[one.frontier : until], before)
        size, patience = one.answers.vocabulary, max(LOOK_PATIENCE, TIMES_THE_GROUP * one.seconds)
        try:
            self._player.twin_line.send(Kind.QUESTION, question.pack())
            content = self._player.twin_line.receive({Kind.REPLY: 4 * size * 64}, patience)[1]
        except WireError:
            return None
        if not content or len(content) % (4 * size):
            return None
        return np.frombuffer(content, "<f4").reshape(-1, size)

    def _refuse_company(self, one: _Group) -> None:
        """The twin is the process that was forked, alone with the player.

        Raises:
            PluginError: it is not, or something was said on its line that nobody asked for.
        """
        twin = self._only_child(one.twin.pid)
        if twin is None or twin.started != one.twin.started:
            raise PluginError("a strategy started, ended or replaced processes beside the player")
        if _has_something(self._player.twin_line):
            raise PluginError("the player spoke on its twin's line")

    def _cut_off(self, pid: int) -> bool:
        """Whether a new twin holds nothing but its line, which takes it a moment; sealed, it can open nothing again."""
        until = time.monotonic() + ENDING_SECONDS
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                if set(descriptors(pid).values()) == {self._player.twin_descriptor}:
                    return not shared_memory(pid)
                time.sleep(0.0005)
        return False

    def _only_child(self, pid: int) -> Seen | None:
        """The twin, once it and the player are all there is; whoever was ended before may take a moment to go."""
        leader, until = self._player.child.pid, time.monotonic() + ENDING_SECONDS
        while time.monotonic() < until:
            others = [seen for seen in group(leader) if seen.pid != leader]
            if [one.pid for one in others] == [pid] and others[0].parent == leader:
                return others[0]
            time.sleep(0.001)
        return None

    def _counterexample(self, one: _Group, target: int, said: Logprobs, token: int) -> Counterexample:
        """What convicts: with the twin asked twice, as the player was told and with the prefix only, stage by stage."""
        batch = next(batch for batch in one.batches if target < batch.end)
        told = self._ask(one, target, whole_shape=True, trail=True, seeing=batch.end - 1)
        blind = self._ask(one, target, whole_shape=True, trail=True)
        return Counterexample.of(target, token, batch.end - 1, said, told, blind)

    def _dismiss(self, one: _Group) -> None:
        wait([one.parted])  # before its number may become another process's
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.twin.pid, signal.SIGKILL)
        one.quiet.close()
        one.answers.close()
        self._group = None


def _has_something(line: Wire) -> bool:
    return bool(select.select([line.descriptor], [], [], 0)[0])

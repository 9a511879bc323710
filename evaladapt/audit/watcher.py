"""The watcher of an audited run: looks at every hook call, and rehearses some of them.

At every call: global random generators, files, sockets and processes. At rehearsed calls: a transform called again
gives the same and leaves the declared state and the weights alone (FREEZE), and nothing depends on text that is not due
yet (REHEARSAL).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaladapt.audit.allowance import Allowance
from evaladapt.audit.generators import Canaries, kept
from evaladapt.audit.incidents import Incident, Sightings
from evaladapt.audit.opened import listening
from evaladapt.audit.rehearsal import (
    CannotRehearse,
    double_of,
    flipped_transform,
    horizon,
    refuse_read_only,
    rewritten_in_place,
)
from evaladapt.audit.remembered import declared_state, memory_of, whole_state
from evaladapt.audit.watch import HookCall
from evaladapt.engine.source import TokenSource
from evaladapt.model.backend import Backend

Draw = Callable[..., np.random.Generator]
LEARNING = ("begin", "reset", "adapt", "observe")


class AuditWatcher:
    """Watches the hooks of one or more runs on one text.

    Args:
        model: whose weights are looked after.
        source: the very text that the engine holds.
        draw: makes seeded generators.
        rate: share of calls that are rehearsed, besides the first of every hook.
        share: largest share of the time since the start that rehearsals may take; None for no limit.

    Attributes:
        sightings: what was seen.
    """

    def __init__(
        self, model: Backend, source: TokenSource, draw: Draw, *, rate: float = 1.0, share: float | None = None
    ) -> None:
        self.sightings = Sightings()
        self._model, self._source, self._draw = model, source, draw
        self._allowance = Allowance(draw, rate, share)
        self._calls: Counter[tuple[str, str]] = Counter()
        self._canaries = Canaries()
        self._seconds_of_call = 0.0

    def around(self, call: HookCall) -> Any:
        """Make the call; rehearse it if its turn has come."""
        hook = (call.alias, call.hook)
        number = self._calls[hook]
        self._calls[hook] += 1
        if not (_can_be_rehearsed(call) and self._allowance.covers(hook, number)):
            result = self._observed(call)
            self._allowance.note(hook, self._seconds_of_call)
            return result
        started = time.perf_counter()
        try:
            result = self._rehearsed(call, number)
        except CannotRehearse as error:
            for probe in ("FREEZE", "REHEARSAL"):
                self.sightings.blind[probe, call.alias] = str(error)
            result = self._observed(call)
        self._allowance.note(hook, self._seconds_of_call)
        self._allowance.book(hook, time.perf_counter() - started - self._seconds_of_call)
        return result

    def _observed(self, call: HookCall) -> Any:
        """Make the call and look at what it leaves in the process."""
        used: list[str] = []
        with self._canaries.watch(used), listening(lambda what: self._note("FILES", "C1", call, "nothing", what)):
            started = time.perf_counter()
            result = call.make()
            self._seconds_of_call = time.perf_counter() - started
        for name in used:
            self._note("RNG", "D", call, "nothing", f"the global generator of {name} was used or seeded")
        self.sightings.counts["calls"] += 1
        return result

    def _rehearsed(self, call: HookCall, number: int) -> Any:
        refuse_read_only(self._source)
        if call.is_transform:
            return self._rehearsed_transform(call, number)
        return self._rehearsed_learning(call, number)

    def _rehearsed_learning(self, call: HookCall, number: int) -> Any:
        """A hook that may change state: it must be the state that another future would have given."""
        due = horizon(call)
        if due is None or due > self._source.targets:
            return self._observed(call)
        shared = self._shared(call)
        double = double_of(call.plugin, shared)
        arguments = {name: double_of(value, shared) for name, value in call.arguments.items() if name != "host"}
        live: dict[str, Tensor] = dict(self._model.named_parameters())
        writes = call.type.capabilities.writes_weights
        with _kept(live) if writes else nullcontext():
            with kept(), rewritten_in_place(self._source, due, self._draw("rewrite", call.hook, number)):
                call.make_on(double, **arguments)
            rehearsed = whole_state(double), memory_of(live)
        result = self._observed(call)
        self.sightings.counts["REHEARSAL"] += 1
        if (whole_state(call.plugin), memory_of(live)) != rehearsed:
            self._note("REHEARSAL", "C3", call, f"tokens from {due} on were replaced while it was called",
                       "it remembers something else", (due,))  # fmt: skip
        return result

    def _rehearsed_transform(self, call: HookCall, number: int) -> Any:
        """A hook that must not change state, and whose values up to a target must stand under any text behind it."""
        shared = self._shared(call)
        arguments = {name: double_of(value, shared) for name, value in call.arguments.items()}
        flipped_on = double_of(call.plugin, shared)
        live: dict[str, Tensor] = dict(self._model.named_parameters())
        before = declared_state(call.plugin), memory_of(live)
        result = self._observed(call)
        if (declared_state(call.plugin), memory_of(live)) != before:
            self._note("FREEZE", "C3", call, "nothing", "its state or the weights changed in a transform")
        with kept():
            double = double_of(call.plugin, shared)
            again = call.make_on(double, **{name: _copied(one) for name, one in arguments.items()})
        self.sightings.counts["FREEZE"] += 1
        if not _equal(result, again):
            self._note("FREEZE", "C3", call, "it was called a second time with the same arguments",
                       "it returned something else")  # fmt: skip
        if "query" in call.arguments and isinstance(result, Tensor):
            self._flip(call, arguments, flipped_on, result, number)
        return result

    def _flip(self, call: HookCall, arguments: dict[str, Any], double: Any, result: Tensor, number: int) -> None:
        query = arguments["query"]
        positions = query.positions[query.valid]
        if not len(positions):
            return
        generator = self._draw("flip", call.alias, call.hook, number)
        position = int(positions[int(generator.integers(0, len(positions)))])
        pristine = HookCall(call.type, call.hook, call.plugin, call.function, arguments)
        with kept(), rewritten_in_place(self._source, position, generator) as tokens:
            flipped = flipped_transform(pristine, position, tokens)
            found = pristine.make_on(double, **flipped.arguments)
        self.sightings.counts["REHEARSAL"] += 1
        if not _equal(result[flipped.kept], found[flipped.kept]):
            moved = float((result[flipped.kept] - found[flipped.kept]).abs().max())
            self._note("REHEARSAL", "C1", call, f"tokens from {position} on were replaced while it was called",
                       f"values for targets up to {position} moved by up to {moved:.2g}", (position,))  # fmt: skip

    def _shared(self, call: HookCall) -> list[Any]:
        """Objects that a copy of a strategy shares with it: the engine's."""
        host = call.arguments.get("host")
        mine = [value for value in vars(call.plugin).values() if hasattr(value, "head")]
        return [self._model, *dict(self._model.named_parameters()).values(), *mine, *([host] if host else [])]

    def _note(
        self, probe: str, clause: str, call: HookCall, changed: str, difference: str, positions: tuple[int, ...] = ()
    ) -> None:
        self.sightings.incidents.append(Incident(probe, clause, call.alias, call.hook, changed, difference, positions))


def _can_be_rehearsed(call: HookCall) -> bool:
    return (call.is_transform or call.hook in LEARNING) and hasattr(call.plugin, "__dict__")


@contextmanager
def _kept(live: dict[str, Tensor]) -> Iterator[None]:
    """Put the values of tensors back afterwards."""
    values = {name: tensor.detach().clone() for name, tensor in live.items()}
    try:
        yield
    finally:
        for name, tensor in live.items():
            tensor.data.copy_(values[name])


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return bool(torch.equal(first, second))
    return isinstance(first, Tensor) == isinstance(second, Tensor)

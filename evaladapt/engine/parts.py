"""The two modes: a batch is predicted whole (block) or one target at a time (step).

Step mode defines the contract. There, when a target is predicted, no token from it on is in the process's hands beyond
the engine's keeper. Block mode must give the same numbers, faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from evaladapt.contract.views import Window
from evaladapt.engine.windows import Batch
from evaladapt.errors import UsageError
from evaladapt.system.processes import rows_of

Mode = Literal["block", "step"]


@dataclass(frozen=True)
class Span:
    """Targets ``[first, stop)`` of one row."""

    first: int
    stop: int


@dataclass(frozen=True)
class Part:
    """What is predicted at once: for every row a window and the span of its targets whose turn it is.

    Attributes:
        opens_batch: nothing of the batch was predicted before; state shared by rows is fitted now.
        opens_rows: nothing of these rows was predicted before; state of a row is fitted now.
        share_of: what all processes predict together, where these rows are one process's share of it.
        own: whether this process answers for the rows, rather than going along with another one's.
        goes_on: further targets of its one row follow at once, so the row is read to its end now.
    """

    batch: Batch
    windows: tuple[Window, ...]
    spans: tuple[Span, ...]
    opens_batch: bool
    opens_rows: bool
    share_of: Part | None = None
    own: bool = True
    goes_on: bool = False

    @property
    def whole(self) -> Part:
        """What is predicted at once by all processes."""
        return self.share_of or self

    @property
    def first(self) -> int:
        """First target of the part."""
        return self.spans[0].first

    @property
    def stop(self) -> int:
        """One past its last target."""
        return self.spans[-1].stop


def share(part: Part, rank: int, processes: int) -> Part:
    """The rows of a part that one process predicts."""
    if processes == 1:
        return part
    rows = rows_of(rank, processes, len(part.windows))
    chosen = slice(rows.first, rows.stop)
    return replace(part, windows=part.windows[chosen], spans=part.spans[chosen], share_of=part, own=rows.own)


def targets_by_process(part: Part, processes: int, *, but_last: bool = False) -> tuple[int, ...]:
    """How many targets of a part every process answers for, in stream order; ``but_last`` leaves out the last one."""
    shares = [rows_of(rank, processes, len(part.spans)) for rank in range(processes)]
    counts = [sum(span.stop - span.first for span in part.spans[one.first : one.stop]) * one.own for one in shares]
    last = max(rank for rank, count in enumerate(counts) if count)
    counts[last] -= but_last
    return tuple(counts)


def block_parts(batch: Batch) -> Iterator[Part]:
    """The batch as one part."""
    spans = tuple(Span(window.score_from, window.score_to) for window in batch.windows)
    yield Part(batch, batch.windows, spans, opens_batch=True, opens_rows=True)


def step_parts(batch: Batch) -> Iterator[Part]:
    """One part for every target, row after row."""
    for row, window in enumerate(batch.windows):
        for target in range(window.score_from, window.score_to):
            opens = target == window.score_from
            yield Part(batch, (window,), (Span(target, target + 1),), opens_batch=opens and row == 0, opens_rows=opens)


def mode_named(name: str) -> Mode:
    """The mode a person named.

    Raises:
        UsageError: there is no such mode.
    """
    for mode in get_args(Mode):
        if mode == name:
            return cast(Mode, mode)
    raise UsageError(f"mode {name!r} is none of {', '.join(get_args(Mode))}")


PARTS: dict[Mode, Callable[[Batch], Iterator[Part]]] = {"block": block_parts, "step": step_parts}
"""How each mode goes through a batch."""

"""From a plan to batches: windows are checked to cover every target exactly once, then grouped into rows.

Whether the windows come from our plan or a stranger's, a target that would be scored twice or not at all ends the run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from evaladapt.contract.mask import frontier
from evaladapt.contract.views import StreamInfo, Window
from evaladapt.errors import ContractViolation

PADDING_ALLOWED = 1.25
"""Rows of unequal size share a batch while padding adds at most a quarter."""

MOST_TARGETS = 4096
"""A batch of several windows holds at most so many targets, whatever their number: all of them are bound at once."""

UNREAD = -1
"""Where the window before the first one starts."""


@dataclass(frozen=True)
class Horizon:
    """How often a strategy learns: after every ``targets`` targets, of the text or, by itself, of every document."""

    targets: int
    by_document: bool = False


@dataclass(frozen=True)
class Batch:
    """Consecutive windows that are forwarded together."""

    number: int
    windows: tuple[Window, ...]

    @property
    def frontier(self) -> int:
        """The first target of the batch."""
        return frontier(self.windows)

    @property
    def end(self) -> int:
        """One past the last target of the batch."""
        return self.windows[-1].score_to


def covering(windows: Iterable[Window], targets: int, plan: str, *, continues: bool = False) -> Iterator[Window]:
    """Pass the windows on while they cover the targets 1 … N once each, in order.

    Args:
        windows: as they are planned.
        targets: N.
        plan: its name.
        continues: whether it declared that windows may continue the ones before them.

    Raises:
        ContractViolation: clause C4, at the first window that leaves a gap, repeats a target or has no prefix, or that
            continues what it cannot.
    """
    due, start = 1, UNREAD
    for window in windows:
        if window.score_from != due:
            wrong = "again" if window.score_from < due else f"although target {due} was not scored"
            raise _broken_plan(plan, f"{window} would score target {window.score_from} {wrong}", window.score_from)
        if not 0 <= window.start < window.score_from < window.score_to:
            raise _broken_plan(plan, f"{window} is not of the form 0 <= start < score_from < score_to", due)
        if window.score_to > targets + 1:
            raise _broken_plan(plan, f"{window} reaches past the last target, {targets}", due)
        if window.continues and not continues:
            raise _broken_plan(plan, f"{window} continues another; the plan does not declare continues=True", due)
        if window.continues and not _can_continue(window, start):
            raise _broken_plan(plan, f"{window} cannot read on from a window that starts at {start}", due)
        due, start = window.score_to, window.start
        yield window
    if due != targets + 1:
        raise _broken_plan(plan, f"it ends after target {due - 1} of {targets}", due)


def _can_continue(window: Window, start: int) -> bool:
    """Whether a window reads no further back than the one before, which starts at ``start``, and keeps its sinks."""
    return UNREAD < start <= window.start and (window.start == start or 0 <= window.sinks <= window.past)


def cut_at_documents(windows: Iterable[Window], stream: StreamInfo) -> Iterator[Window]:
    """Split score spans after every BOS, so that state can be reset before the new document's first token is scored.

    The start of a window stays: what a target's row reads does not depend on where later documents begin.
    """
    starts = stream.document_starts
    for window in windows:
        score_from = window.score_from
        first, last = bisect_left(starts, score_from), bisect_right(starts, window.score_to - 2)
        for bos in starts[first:last]:
            yield replace(window, score_from=score_from, score_to=bos + 1)
            score_from = bos + 1
        yield replace(window, score_from=score_from)


def batches(
    windows: Iterable[Window], rows: int, breaks: tuple[int, ...] = (), horizons: tuple[Horizon, ...] = ()
) -> Iterator[Batch]:
    """Group windows into batches of at most ``rows``.

    Args:
        windows: in stream order.
        rows: most rows of a batch.
        breaks: stream indices of BOS tokens; a batch ends with the window that scores one.
        horizons: a batch ends with the window that completes a stretch of one of them, so that what is learned from
            the stretch serves the very next window.
    """
    bos_targets = frozenset(breaks)
    group: list[Window] = []
    number = 0
    for window in windows:
        if group and not (_fits(group, window, rows) and _same_stretches(group[0], window, breaks, horizons)):
            yield Batch(number, tuple(group))
            group, number = [], number + 1
        group.append(window)
        if window.score_to - 1 in bos_targets:
            yield Batch(number, tuple(group))
            group, number = [], number + 1
    if group:
        yield Batch(number, tuple(group))


def _fits(group: list[Window], window: Window, rows: int) -> bool:
    if len(group) >= rows or window.score_to - group[0].score_from > MOST_TARGETS:
        return False
    together = [*group, window]
    return all(
        max(sizes) * len(sizes) <= PADDING_ALLOWED * sum(sizes)
        for sizes in ([one.length for one in together], [one.scored for one in together])
    )


def _same_stretches(first: Window, window: Window, breaks: tuple[int, ...], horizons: tuple[Horizon, ...]) -> bool:
    """Whether two windows of one document begin to score in the same stretch of every horizon."""
    document = breaks[bisect_right(breaks, first.score_from - 1) - 1] if breaks else 0
    origins = ((document if one.by_document else 0, one.targets) for one in horizons)
    return all((first.score_from - 1 - origin) // targets == (window.score_from - 1 - origin) // targets
               for origin, targets in origins)  # fmt: skip


def _broken_plan(plan: str, reason: str, target: int) -> ContractViolation:
    return ContractViolation(f"the plan of {plan!r} breaks C4 (every target once, in order): {reason}", clause="C4",
                             strategy=plan, positions=(target,))  # fmt: skip

"""How much is predicted at once: parts of a batch are cut until their distributions fit into the working memory.

What takes memory is numbers over the vocabulary, a row of them for every target and for every place of the past that a
strategy reads the logits of. A batch stays what it is, so nothing of what strategies learn depends on the room; only
how many of its rows, and with large vocabularies how many targets of one row, are forwarded and predicted together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evaladapt.contract.capabilities import Capabilities
from evaladapt.engine.parts import Part, Span

BYTES = 4
PAST_COPIES = 3
"""Of the past's logits: the engine's, a strategy's own, and what it computes with."""
SPAN_COPIES = 5
"""Of the targets': logits and distributions, before and after a strategy."""
FEWEST_TARGETS = 16
"""Of one row, however little room its past leaves."""


@dataclass(frozen=True)
class Room:
    """Working memory, in distributions over the vocabulary.

    Attributes:
        distributions: how many fit.
        past: how many a place of the past takes.
        target: how many a target takes.
    """

    distributions: int
    past: int
    target: int

    @classmethod
    def of(cls, memory: int, vocabulary: int, composition: Sequence[Capabilities]) -> Room:
        """Of ``memory`` bytes, for strategies of these capabilities."""
        reads = [one.reads for one in composition]
        past = PAST_COPIES if any("logits" in one for one in reads) else 0
        trail = 2 * (len(reads) + 1) if any("trail" in one for one in reads) else 0
        return cls(memory // (BYTES * vocabulary), past, SPAN_COPIES + trail)

    def pieces(self, part: Part) -> Iterator[Part]:
        """The part as it is predicted: some rows at a time, and of a row that does not fit some of its targets."""
        if self._rows(part, 0) == len(part.windows):
            yield part
            return
        row = 0
        while row < len(part.windows):
            rows = max(1, self._rows(part, row))
            chosen = slice(row, row + rows)
            piece = replace(part, windows=part.windows[chosen], spans=part.spans[chosen],
                            opens_batch=part.opens_batch and row == 0, share_of=None)  # fmt: skip
            yield from [piece] if rows > 1 else self._stretches(piece)
            row += rows

    def _rows(self, part: Part, first: int) -> int:
        """How many rows from ``first`` on fit together."""
        past = targets = rows = 0
        for window, span in zip(part.windows[first:], part.spans[first:], strict=True):
            past, targets = max(past, window.past), max(targets, span.stop - span.first)
            if (rows + 1) * (self.past * past + self.target * targets) > self.distributions:
                break
            rows += 1
        return rows

    def _stretches(self, piece: Part) -> Iterator[Part]:
        """A row's targets, so many at a time as fit beside its past."""
        (span,) = piece.spans
        past = self.past * piece.windows[0].past if piece.opens_rows else 0
        at_once = max(FEWEST_TARGETS, (self.distributions - past) // self.target)
        for first in range(span.first, span.stop, at_once):
            stop, opens = min(first + at_once, span.stop), first == span.first
            yield replace(piece, spans=(Span(first, stop),), opens_batch=piece.opens_batch and opens,
                          opens_rows=piece.opens_rows and opens, goes_on=stop < span.stop)  # fmt: skip

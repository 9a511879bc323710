"""The text, every token coloured by what adaptation gained or lost there, and links to where that was most."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from evaladapt.results.report.subject import Line, TextPart
from evaladapt.results.scored_text import ScoredText

MOST_TARGETS = 6000
"""Shown from the beginning; of a longer text the passages with the largest gain and loss are shown as well."""
PASSAGE = 64
PASSAGES = 5
AROUND = 48
LEVELS = (0.05, 0.25, 0.75, 1.5, 3.0)
"""Nats from which on a colour is stronger."""


@dataclass(frozen=True)
class Passage:
    """Targets ``first … stop - 1`` and the nats gained in them."""

    first: int
    stop: int
    gain: float


def text_view(part: TextPart, line: Line, prefix: str) -> str:
    """HTML: links to the passages, then the text; ``prefix`` keeps the places of several views apart."""
    nats = line.result.adapted.target_nats.astype(np.float64)
    base = line.base.target_nats.astype(np.float64)
    gain = base - nats
    best, worst = passages(gain, PASSAGES), passages(-gain, PASSAGES)
    worst = [Passage(one.first, one.stop, -one.gain) for one in worst]
    shown = _stretches([*best, *worst], len(gain))
    marks = {one.first: f"{prefix}-{one.first}" for one in (*best, *worst)}
    pieces = []
    for first, stop in shown:
        spans = _spans(part.text, first, stop, base, nats, marks)
        pieces.append(f'<p class="where">targets {first:,} to {stop - 1:,}</p><div class="text">{spans}</div>')
    links = f"<p>Largest gains: {_links(best, marks)}.</p><p>Largest losses: {_links(worst, marks)}.</p>"
    return links + _legend() + "".join(pieces)


def passages(gain: NDArray[np.float64], count: int) -> list[Passage]:
    """The stretches of :data:`PASSAGE` targets with the largest sum of ``gain`` [N+1], apart from each other.

    Only such with a gain above zero; index 0 is no target.
    """
    length = min(PASSAGE, len(gain) - 1)
    sums = np.convolve(gain[1:], np.ones(length), "valid") if length else np.zeros(0)
    found: list[Passage] = []
    while len(found) < count and len(sums):
        place = int(sums.argmax())
        if not sums[place] > 0:
            break
        found.append(Passage(place + 1, place + 1 + length, float(sums[place])))
        sums[max(0, place - length + 1) : place + length] = -np.inf
    return found


def _stretches(wanted: list[Passage], end: int) -> list[tuple[int, int]]:
    """The beginning, and the passages with what is around them, joined where they meet."""
    places = [(1, min(end, MOST_TARGETS + 1))]
    places += [(max(1, one.first - AROUND), min(end, one.stop + AROUND)) for one in wanted]
    joined: list[tuple[int, int]] = []
    for first, stop in sorted(places):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((first, stop))
    return joined


def _spans(
    text: ScoredText, first: int, stop: int, base: NDArray[np.float64], nats: NDArray[np.float64], marks: dict[int, str]
) -> str:
    pieces = []
    words = text.texts(first, stop)
    for position, word in zip(range(first, stop), words, strict=True):
        if text.documents[position] != text.documents[position - 1]:
            pieces.append(f'<b class="new">document {text.documents[position]}</b>')
        anchor = f' id="{marks[position]}"' if position in marks else ""
        before, after = base[position], nats[position]
        title = f"{before:.2f} → {after:.2f}"
        level = _level(before - after)
        kind = f' class="{level}"' if level else ""
        pieces.append(f'<i{anchor}{kind} title="{title}">{escape(str(word))}</i>')
    return "".join(pieces)


def _level(gain: float) -> str:
    strength = int(np.searchsorted(LEVELS, abs(gain), side="right"))
    return f"{'g' if gain > 0 else 'l'}{strength}" if strength else ""


def _links(found: list[Passage], marks: dict[int, str]) -> str:
    links = [f'<a href="#{marks[one.first]}">{one.gain:+.1f} nats at {one.first:,}</a>' for one in found]
    return ", ".join(links) or "none"


def _legend() -> str:
    steps = range(len(LEVELS), 0, -1)
    loss = "".join(f'<i class="l{one}">−{LEVELS[one - 1]:g}</i> ' for one in steps)
    gain = "".join(f'<i class="g{one}">+{LEVELS[one - 1]:g}</i> ' for one in reversed(steps))
    return (
        f'<p class="legend">nats lost {loss} gained {gain} or more; each token says before → after when pointed at</p>'
    )

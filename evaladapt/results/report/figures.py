"""The figures of a report: SVG by matplotlib, whose colours are the page's own, so that they turn dark with it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.results.report.subject import Line, TextPart
from evaladapt.results.result import LN2
from evaladapt.results.rows import Row
from evaladapt.results.table import optional_package

INK, FAINT = "#010203", "#040506"
SERIES = tuple(f"#0a0b{number:02x}" for number in range(16, 24))
"""Stand-ins, put in place of by the page's colours once the figure is text."""
DASHES = ("-", "--", ":")
MOST_LINES = 8
POINTS = 400
WIDTH, HEIGHT = 7.2, 3.6


def change_by_row(rows: Sequence[Row]) -> str:
    """Change in bits per byte of every composition with its interval; the base is at zero."""
    shown = [row for row in rows if row.difference is not None]

    def draw(axes: Any) -> None:
        for place, row in enumerate(shown):
            found, colour = row.difference, SERIES[place % len(SERIES)]
            assert found is not None
            if found.low is not None and found.high is not None:
                axes.plot([found.low, found.high], [place, place], color=colour, linewidth=3, solid_capstyle="round")
            axes.plot([found.bpb], [place], "o", color=colour, markersize=8)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(shown)), [_short(row.name) for row in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel("change in bits per byte (left is better)")

    return _svg("change", draw, height=1.1 + 0.38 * len(shown))


def score_by_seconds(rows: Sequence[Row]) -> str:
    """Bits per byte against seconds."""
    shown = [row for row in rows if row.bpb is not None and row.seconds is not None]

    def draw(axes: Any) -> None:
        for place, row in enumerate(shown):
            colour = INK if row.difference is None else SERIES[(place - 1) % len(SERIES)]
            axes.plot([row.seconds], [row.bpb], "o", color=colour, markersize=8, label=_short(row.name))
        _logarithmic(axes)
        _legend(axes)
        axes.set_xlabel("seconds for the text")
        axes.set_ylabel("bits per byte")

    return _svg("seconds", draw)


def gain_by_document(part: TextPart) -> str:
    """Gain of every document, sorted, one line a composition."""

    def draw(axes: Any) -> None:
        for place, (line, gain, _) in enumerate(_gains(part)):
            axes.plot(np.linspace(0, 100, len(gain)), np.sort(gain)[::-1], label=_short(line.name), **_style(place))
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xlabel("documents in percent, the largest gain first")
        axes.set_ylabel("gain in bits per byte")
        _legend(axes)

    return _svg(f"documents {part.name}", draw)


def gain_by_length(part: TextPart) -> str:
    """Gain of every document against its length."""

    def draw(axes: Any) -> None:
        for place, (line, gain, sizes) in enumerate(_gains(part)):
            colour = SERIES[place % len(SERIES)]
            axes.plot(
                sizes, gain, "o", color=colour, markersize=4, alpha=0.6, markeredgewidth=0, label=_short(line.name)
            )
        axes.axhline(0, color=INK, linewidth=1)
        _logarithmic(axes)
        axes.set_xlabel("bytes of the document")
        axes.set_ylabel("gain in bits per byte")
        _legend(axes)

    return _svg(f"lengths {part.name}", draw)


def running_change(part: TextPart) -> str:
    """Bits per byte so far, less those of the plan alone: where a composition pulls ahead."""
    sizes = np.cumsum(part.text.byte_lengths, dtype=np.int64)
    at = np.unique(np.linspace(0, len(sizes) - 1, POINTS).astype(np.int64)[POINTS // 50 :])
    at = at[sizes[at] > 0]

    def draw(axes: Any) -> None:
        for place, line in enumerate(part.lines[:MOST_LINES]):
            saved = line.result.adapted.target_nats.astype(np.float64) - line.base.target_nats
            axes.plot(sizes[at], np.cumsum(saved)[at] / LN2 / sizes[at], label=_short(line.name), **_style(place))
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xlabel("bytes of the text so far")
        axes.set_ylabel("bits per byte so far, less the base's")
        _legend(axes)

    return _svg(f"running {part.name}", draw)


def _gains(part: TextPart) -> list[tuple[Line, NDArray[np.float64], NDArray[np.int64]]]:
    """Gain and bytes of every document that has bytes."""
    sizes = part.text.document_bytes
    kept = sizes > 0
    return [(line, line.result.documents().columns["gain"][kept], sizes[kept]) for line in part.lines[:MOST_LINES]]


def _style(place: int) -> dict[str, Any]:
    return {"color": SERIES[place % len(SERIES)], "linestyle": DASHES[place // len(SERIES) % len(DASHES)],
            "linewidth": 2}  # fmt: skip


def _logarithmic(axes: Any) -> None:
    """A logarithmic axis with plain numbers, three a decade."""
    ticker = optional_package("matplotlib.ticker", "report")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def _svg(name: str, draw: Callable[[Any], None], height: float = HEIGHT) -> str:
    """A figure as SVG without a size of its own, in the colours of the page."""
    matplotlib = optional_package("matplotlib", "report")
    figure_of = optional_package("matplotlib.figure", "report").Figure
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 10,
                "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
                "axes.grid": True, "grid.color": FAINT, "axes.spines.top": False, "axes.spines.right": False,
                "axes.unicode_minus": True, "text.parse_math": False}  # fmt: skip
    content = io.StringIO()
    with warnings.catch_warnings(), matplotlib.rc_context(settings):
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has the letters
        figure = figure_of(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _with_colours_of_the_page(content.getvalue())


def _with_colours_of_the_page(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 role="img"', svg, count=1)
    svg = svg.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    for number, colour in enumerate(SERIES):
        svg = svg.replace(colour, f"var(--series-{number})")
    return svg


def _short(name: str, longest: int = 40) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"

"""A comparison for a terminal: 80 columns hold what decides, a wider one the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaladapt.judge.records.record import NONCAUSAL
from evaladapt.results.statistics import CONTEST_NATS

if TYPE_CHECKING:
    from evaladapt.results.comparison import Comparison
    from evaladapt.results.rows import Row

WIDE = 130
SHORTEST_NAME = 12
UNITS = ("B", "kB", "MB", "GB")


def comparison_table(comparison: Comparison, width: int) -> str:
    """The texts, the rows, and what the columns mean; a name that is too long has a line of its own before its row."""
    wide = width >= WIDE
    rows = comparison.rows
    heads = _heads(wide)
    cells = [_cells(row, wide) for row in rows]
    widths = [max(len(line[place]) for line in (heads, *cells)) for place in range(len(heads))]
    room = max(SHORTEST_NAME, width - sum(widths) - 2 * len(widths))
    longest = min(room, max(len(row.name) for row in rows))
    lines = [_line("", heads, widths, longest)]
    for row, columns in zip(rows, cells, strict=True):
        fits = len(row.name) <= longest
        lines += [] if fits else [row.name]
        lines.append(_line(row.name if fits else "", columns, widths, longest))
    return "\n".join([*_texts(comparison), "", *lines, "", *_notes(comparison, wide)])


def _heads(wide: bool) -> list[str]:
    change = ["change [95 %]", "%", "better/worse"] if wide else ["change ± 95 %"]
    more = ["nats/token", "p > bar"] if wide else []
    return ["#", "bpb", *change, "p", *more, "s", "state", "verdict"]


def _cells(row: Row, wide: bool) -> list[str]:
    rank = "" if row.rank is None else str(row.rank)
    tests = [] if not wide else ["", ""] if row.contest is None else [f"{row.contest.nats:+.4f}", _p(row.contest.p)]
    return [
        rank,
        "" if row.bpb is None else f"{row.bpb:.4f}",
        *_change(row, wide),
        _p(row.p_holm) if row.difference is not None else "",
        *tests,
        "" if row.seconds is None else f"{row.seconds:,.1f}",
        size(row.state_bytes),
        row.verdict,
    ]


def _change(row: Row, wide: bool) -> list[str]:
    found = row.difference
    if found is None or row.bpb is None:
        return ["base" if row.bpb is not None else "", *[""] * (2 * wide)]
    change = f"{found.bpb:+.4f}"
    if found.low is not None and found.high is not None:
        change += f" [{found.low:+.4f}, {found.high:+.4f}]" if wide else f" ± {(found.high - found.low) / 2:.4f}"
    percent = "" if row.percent is None else f"{row.percent:+.2f}"
    return [change, percent, f"{found.better}/{found.worse}"] if wide else [change]


def _line(name: str, columns: list[str], widths: list[int], longest: int) -> str:
    aligned = [text.rjust(width) for text, width in zip(columns[:-1], widths[:-1], strict=True)]
    return "  ".join([name.ljust(longest), *aligned, columns[-1]]).rstrip()


def _texts(comparison: Comparison) -> list[str]:
    found = []
    for one in comparison.cells:
        if one.place.is_base:
            data, where = one.record.data, f"{one.model}, " if len(comparison.manifest.models) > 1 else ""
            found.append(f"{where}{one.text}: {data.targets:,} targets, {data.bytes:,} bytes,"
                         f" {data.documents:,} documents")  # fmt: skip
    return found


def _notes(comparison: Comparison, wide: bool) -> list[str]:
    texts, seeds = comparison.manifest.texts, comparison.manifest.seeds
    notes = ["change: bits per byte against the plan alone, paired over documents; p: Holm's"]
    if len(texts) > 1:
        notes.append("change pools the documents of all texts; bpb is a mean that weighs texts alike")
    several = [f"{len(one)} {name}" for one, name in ((texts, "texts"), (seeds, "seeds")) if len(one) > 1]
    if several:
        notes.append(f"bpb: mean over {' of the mean over '.join(several)}; s: a pass over all texts")
    spreads = [row.seed_spread for row in comparison.rows if row.seed_spread is not None]
    if spreads:
        notes.append(f"over seeds bpb has a standard deviation of at most {max(spreads):.5f}")
    bars = {f"{row.contest.needed_bpb:.4f}" for row in comparison.rows if row.contest}
    if wide and bars:
        needed = " or ".join(sorted(bars))
        notes.append(f"p > bar: that no more is gained than the contest's {CONTEST_NATS} nats a token"
                     f" ({needed} bits per byte), one-sided")  # fmt: skip
    if any(row.verdict == NONCAUSAL for row in comparison.rows):
        notes.append("NONCAUSAL: the number is a claim, not a score")
    return notes


def _p(p: float | None) -> str:
    return "–" if p is None else "<.0001" if p < 0.0001 else f"{p:.4f}".removeprefix("0")


def size(count: int | None) -> str:
    """Bytes as a person reads them."""
    if count is None:
        return ""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {UNITS[unit]}"

"""The closing table of a run, for people: scores with their units and counts, times, and the verdict by clause."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from evaladapt.judge.records.record import NONCAUSAL, Checked, RunRecord, Score
from evaladapt.system.text import safe

WIDTH = 100


def run_table(record: RunRecord, path: Path) -> str:
    """The whole table as text."""
    data = record.data
    cut = ", the first of more" if data.limited else ""
    return "\n".join(
        [
            f"model      {record.artifact.path}, {record.artifact.bytes:,} bytes, sha256 {record.artifact.sha256[:16]}",
            f"text       {data.name}: {data.targets:,} targets{cut}, {data.bytes:,} bytes,"
            f" {data.documents:,} documents, sha256 {data.text_sha256[:16]}",
            "",
            *_scores(record),
            "",
            *_times(record.adapted),
            *_code(record.checked),
            "",
            *(_indented(f"{one.clause:3} {one.outcome:12} ", one.evidence) for one in record.clauses),
            _indented("verdict    ", f"{record.verdict}{_meaning(record)}"),
            f"record     {path}",
        ]
    )


def _scores(record: RunRecord) -> list[str]:
    unit = "claimed_bpb" if record.verdict == NONCAUSAL else "bpb"
    final = record.adapted
    width = max(len(final.plugins), len(record.base.plugins) if record.base else 0)
    lines = []
    if record.base is not None:
        lines.append(f"{record.base.plugins:{width}}  {record.base.bits_per_byte:.4f} bpb  (base: the plan alone, bits"
                     " per byte)")  # fmt: skip
        if record.base.taken_from:
            lines.append(f"{'':{width}}  taken from {safe(record.base.taken_from)}, a run of the same plan")
    lines.append(f"{final.plugins:{width}}  {final.bits_per_byte:.4f} {unit}{_boundaries(record)}")
    difference = record.difference
    if difference is not None and record.base is not None:
        percent = 100 * difference.bpb / record.base.bits_per_byte
        lines.append(f"{'change':{width}}  {difference.bpb:+.4f}{difference.spread} ({percent:+.2f} %)")
        lines.append(f"{'':{width}}  paired over {difference.sample}")
        if difference.better == difference.worse == 0:
            lines.append(
                f"{'':{width}}  no prediction changed: the text may be shorter than what the strategy learns from"
            )
    return [*lines, *_charged(record)]


def _boundaries(record: RunRecord) -> str:
    bits = record.adapted.boundary_bits
    return f"  (of that {bits / record.data.bytes:.5f} for where documents start)" if bits else ""


def _charged(record: RunRecord) -> list[str]:
    """What the claim costs once a decoder is told what it would need."""
    if record.verdict != NONCAUSAL:
        return []
    charged = record.charged
    if charged is None:
        return ["charged_bpb unknown: a strategy that peeks does not say what it fitted (hook fitted)"]
    told = charged.side_bpb * record.data.bytes / charged.windows
    even = _break_even(charged.break_even_bits)
    return [
        f"{charged.charged_bpb:.4f} charged_bpb: {charged.text_bpb:.4f} text and {charged.side_bpb:.4f} for"
        f" {charged.numbers:,} fitted numbers in steps of {charged.step:g}: {told:,.1f} bits a window{even}"
    ]


def _break_even(bits: float | None) -> str:
    if bits is None:
        return ""
    return f", where {bits:,.1f} would use up the gain" if bits > 0 else ", and there is no gain to pay for"


def _times(final: Score) -> list[str]:
    phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in final.phases.items())
    strategies = ", ".join(f"{alias} {sum(hooks.values()):.1f}" for alias, hooks in final.strategies.items())
    return [f"time       {final.seconds:.1f} s: {phases}", f"           of that in strategies: {strategies or 'none'}"]


def _code(checked: Checked) -> list[str]:
    """The strategies' code is part of the claim."""
    count = len(checked.files)
    return [
        f"code       {checked.code_bytes:,} bytes that the player read, beside model and evaladapt ({count} files)"
    ] * bool(count)


def _meaning(record: RunRecord) -> str:
    checked = record.checked
    if checked.unchecked_because:
        return f": {checked.unchecked_because}"
    return f" (player sealed by {', '.join(checked.sealed_by)})" if checked.sealed_by else ""


def _indented(head: str, text: str) -> str:
    return fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False)

"""The closing table of a run, for people: scores with their units and counts, times, and the verdict by clause."""

from __future__ import annotations

from pathlib import Path

from evaladapt.engine.record import CAUSAL, RunRecord, Score


def run_table(record: RunRecord, path: Path) -> str:
    """The whole table as text."""
    data = record.data
    cut = ", the first of more" if data.limited else ""
    return "\n".join(
        [
            f"artifact   {record.artifact.path}, {record.artifact.bytes:,} bytes, sha256 {record.artifact.sha256[:16]}",
            f"text       {data.name}: {data.targets:,} targets{cut}, {data.bytes:,} bytes,"
            f" {data.documents:,} documents, sha256 {data.text_sha256[:16]}",
            "",
            *_scores(record),
            "",
            *_times(record.adapted),
            "",
            *(f"{one.clause:3} {one.outcome:12} {one.evidence}" for one in record.clauses),
            f"verdict    {record.verdict}",
            f"record     {path}",
        ]
    )


def _scores(record: RunRecord) -> list[str]:
    unit = "bpb" if record.verdict == CAUSAL else "claimed_bpb"
    final = record.adapted
    width = max(len(final.plugins), len(record.base.plugins) if record.base else 0)
    if record.base is None or record.difference is None:
        return [f"{final.plugins:{width}}  {final.bits_per_byte:.4f} {unit}  (bits per byte)", *_charged(record)]
    difference = record.difference
    percent = 100 * difference.bpb / record.base.bits_per_byte
    return [
        f"{record.base.plugins:{width}}  {record.base.bits_per_byte:.4f} bpb  (base: the plan alone, bits per byte)",
        f"{final.plugins:{width}}  {final.bits_per_byte:.4f} {unit}",
        f"{'change':{width}}  {difference.bpb:+.4f}{difference.spread} ({percent:+.2f} %), paired over"
        f" {difference.sample}",
        *_charged(record),
    ]


def _charged(record: RunRecord) -> list[str]:
    """What the claim costs once a decoder is told what it would need."""
    if record.verdict == CAUSAL:
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

"""Findings and measured tables as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaladapt.audit.finding import FAIL, NOT_COVERED, PASS, Finding

if TYPE_CHECKING:
    from evaladapt.audit.published import Row


def findings_table(findings: Sequence[Finding]) -> str:
    """One line a finding, failures explained below."""
    backends = max((len(one.backend) for one in findings), default=0)
    probes = max((len(one.probe) for one in findings), default=0)
    lines = [
        f"{one.backend:{backends}}  {one.probe:{probes}}  {one.clause:2}  {one.outcome:11}  {one.evidence}"
        for one in findings
    ]
    for one in findings:
        if one.counterexample:
            example = one.counterexample
            where = ", ".join(map(str, example.positions)) or "-"
            lines += [
                "",
                f"{one.clause} is broken, by {one.probe} on the {one.backend}:",
                f"  changed     {example.changed}",
                f"  difference  {example.difference}",
                f"  targets     {where}",
                f"  again       {example.command}",
            ]
    counts = {outcome: sum(one.outcome == outcome for one in findings) for outcome in (PASS, FAIL, NOT_COVERED)}
    lines += ["", f"{counts[PASS]} pass, {counts[FAIL]} fail, {counts[NOT_COVERED]} not covered"]
    return "\n".join(lines)


def published_table(rows: Sequence[Row]) -> str:
    """The measured table of leaks and probes."""
    head = (
        f"{'strategy':42} {'Kraft bits':>10} {'FLIP':>6} {'TRUNC':>6} {'TOK max':>8} {'unscored':>8} {'HYPER bits':>10}"
    )
    lines = [head]
    for row in rows:
        lines.append(
            f"{row.name:42} {row.free_bits:10.2f} {row.flip:6.2f} {row.trunc:6.2f} {row.tok:8.3f}"
            f" {row.unscored:8d} {row.hyper:10.0f}"
        )
    lines += [
        "",
        "FLIP and TRUNC: share of changes that moved an earlier score. Honest: 0 bits, FLIP 0, TOK at most 1.",
    ]
    return "\n".join(lines)

"""The compliance report as Markdown."""

from __future__ import annotations

import json

from evaladapt.audit.compliance import CLAUSES, Report, nats, not_covered

UNITS = {
    "base": "base, the plan alone",
    "bpb": "**score** (bpb)",
    "claimed_bpb": "claim (claimed_bpb; no score)",
    "charged_bpb": "charged (charged_bpb; the same with all side information paid for)",
}


def markdown(report: Report) -> str:
    """The whole report."""
    parts = [_head(report), _scores(report), _clauses(report), _checked(report), _counts(report),
             _composition(report), _environment(report), _gaps(report)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _head(report: Report) -> str:
    line = ",".join(member["alias"] for member in report.first["composition"])
    verdict = f"Verdict: **{report.verdict}**. Written by `evaladapt report` from measurements."
    return f"# Compliance report: {line}\n\n{verdict}"


def _scores(report: Report) -> str:
    rows = ["## Scores", "", "| | bits per byte | deviation | runs |", "|---|---|---|---|"]
    for name, what in UNITS.items():
        spread = report.spread(name)
        if spread:
            deviation = "one run" if spread.deviation is None else f"{spread.deviation:.5f}"
            rows.append(f"| {what} | {spread.mean:.5f} | {deviation} | {spread.count} |")
    if report.verdict == "VIOLATED":
        rows += ["", "A clause of the contract is broken, so no number of these runs is a score."]
    if len(report.finished) < len(report.records):
        ended = len(report.records) - len(report.finished)
        rows += ["", f"The judge ended {ended} of {len(report.records)} runs where it found a clause broken."]
    if not report.finished:
        return "\n".join(rows)
    rows += ["", "| seed | nats in all | nats per target | nats per byte | ledger sha256 |", "|---|---|---|---|---|"]
    for record in report.finished:
        unit, seed, ledger = nats(record), record["settings"]["seed"], record["adapted"]["ledger_sha256"]
        figures = f"{unit['total']:.3f} | {unit['per_target']:.5f} | {unit['per_byte']:.5f}"
        rows.append(f"| {seed} | {figures} | {ledger[:16]} |")
    return "\n".join(rows)


def _clauses(report: Report) -> str:
    lines = ["## Clauses"]
    for name in CLAUSES:
        clause = report.clause(name)
        lines += ["", f"### {name}: {clause['outcome']}", "", f"{clause['statement']}.", ""]
        lines += [f"- {text}" for text in clause["evidence"]] or ["- nothing was measured"]
    return "\n".join(lines)


def _checked(report: Report) -> str:
    """What every verdict stands on: one row a run."""
    columns = "| seed | verdict | sealed by | looks | largest difference | targets | gain | code |"
    rows = ["## What was checked", "", columns, "|---|---|---|---|---|---|---|---|"]
    for record in report.records:
        one = record["checked"]
        rows.append(
            f"| {record['settings']['seed']} | {record['verdict']} | {', '.join(one['sealed_by']) or 'nothing'} |"
            f" {len(one['looks'])} | {one['worst_nats']:.1e} nats | {_bound(one['targets_bound'])} |"
            f" {_bound(one['gain_bound'])} | {one['code_bytes']:,} bytes |"
        )
    rows += ["", "With 95 % confidence less than that share of targets, and of the gain, owes to more than the prefix."]
    return "\n".join(rows)


def _bound(share: float | None) -> str:
    return "-" if share is None else f"< {share:.1%}"


def _counts(report: Report) -> str:
    data, artifact = report.first["data"], report.first["artifact"]
    return "\n".join(
        [
            "## What was scored",
            "",
            f"- text {data['name']}: {data['targets']:,} targets, {data['bytes']:,} bytes,"
            f" {data['documents']:,} documents",
            f"- text sha256 {data['text_sha256']}",
            f"- tokens sha256 {data['tokens_sha256']}",
            f"- artifact {artifact['path']}: {artifact['bytes']:,} bytes, sha256 {artifact['sha256']}",
            f"- weights sha256 {artifact['weights_sha256']}",
        ]
    )


def _composition(report: Report) -> str:
    lines = ["## Strategies", "", "| strategy | from | stage | scope | options |", "|---|---|---|---|---|"]
    for one in report.first["composition"]:
        options = ", ".join(f"{key}={value}" for key, value in one["options"].items()) or "none"
        lines.append(f"| {one['alias']} | {one['distribution']} {one['version']} | {one['stage']} | {one['scope']} |"
                     f" {options} |")  # fmt: skip
    return "\n".join(lines)


def _environment(report: Report) -> str:
    content = {"settings": report.first["settings"], "environment": report.first["environment"]}
    return f"## Environment\n\n```json\n{json.dumps(content, indent=2)}\n```"


def _gaps(report: Report) -> str:
    return "\n".join(["## Not covered", "", *(f"- {gap}" for gap in not_covered(report))])

"""The page: headline, rows, figures, the text, compliance by clause, and what ran it; HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from evaladapt.judge.records.record import NONCAUSAL, RunRecord
from evaladapt.results.comparison_table import size
from evaladapt.results.report import figures
from evaladapt.results.report.subject import Line, Subject, TextPart
from evaladapt.results.report.text_view import text_view
from evaladapt.results.rows import Row
from evaladapt.results.statistics import CONTEST_NATS
from evaladapt.results.table import optional_package
from evaladapt.system.files import write_text_atomically

NOTHING = "–"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""For the browser: nothing is loaded and no script is run, whatever a name in a record says."""


def write_report(subject: Subject, path: Path) -> None:
    """Write the page of a subject, whole or not at all.

    Raises:
        UsageError: matplotlib is not installed.
        DataError: it cannot be written.
    """
    optional_package("matplotlib", "report")
    write_text_atomically(path, page(subject))


def page(subject: Subject) -> str:
    """The page as text."""
    title = f"evaladapt: {', '.join(part.name for part in subject.texts)}"
    style = (files("evaladapt.results.report") / "page.css").read_text(encoding="utf-8")
    body = [_headline(subject), _rows(subject.rows), *_overview(subject)]
    body += [_text(part, number, subject) for number, part in enumerate(subject.texts, start=1)]
    body += [_compliance(subject.results), _provenance(subject.results)]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{style}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )


def _headline(subject: Subject) -> str:
    best = subject.best
    if best is None or best.difference is None or best.bpb is None:
        return "<h1>No composition has a score here</h1>"
    low, high = best.difference.low, best.difference.high
    interval = "" if low is None or high is None else f"95 %: {low:+.4f} to {high:+.4f}"
    before = "" if best.base_bpb is None else f"{best.base_bpb:.4f} under the plan alone"
    boxes = [
        ("bits per byte", f"{best.bpb:.4f}", before),
        ("change", _change(best), interval),
        ("verdict", best.verdict, _bound(subject, best)),
        ("documents", f"{best.difference.better:,} better, {best.difference.worse:,} worse",
         f"{best.difference.documents:,}, effective {best.difference.effective_documents:,.1f}"),
    ]  # fmt: skip
    cells = "".join(f'<div><span class="quiet">{escape(name)}</span><b>{escape(value)}</b>'
                    f'<span class="quiet">{escape(more)}</span></div>' for name, value, more in boxes)  # fmt: skip
    first = "Best of these: " if sum(row.difference is not None for row in subject.rows) > 1 else ""
    return f'<h1>{first}{escape(best.name)}</h1><div class="headline">{cells}</div>'


def _change(row: Row) -> str:
    assert row.difference is not None
    percent = "" if row.percent is None else f" ({row.percent:+.2f} %)"
    return f"{row.difference.bpb:+.4f}{percent}"


def _bound(subject: Subject, row: Row) -> str:
    """What the verdict on a row bounds, in the worst of its runs that are shown."""
    records = [line.result.record for line in subject.results if line.name in (row.name, row.composition)]
    reasons = [one.checked.unchecked_because for one in records if one.checked.unchecked_because]
    if reasons:
        return str(reasons[0])
    bounds = [one.checked.targets_bound for one in records if one.checked.targets_bound is not None]
    return f"less than {max(bounds):.1%} of targets predicted from what follows, 95 %" if bounds else ""


def _rows(rows: Sequence[Row]) -> str:
    heads = ["#", "composition", "bits per byte", "change [95 %]", "%", "p (Holm)", "nats a target", "p > bar",
             "seconds", "state", "verdict"]  # fmt: skip
    claims = any(row.verdict == NONCAUSAL for row in rows)
    several = any(len(row.by_text) > 1 for row in rows)
    lines = [_cells(row) for row in rows]
    return (
        "<h2>Compositions</h2>"
        + _table(heads, lines, names=(1,), words=(10,))
        + '<p class="quiet">Change: against the plan alone, paired over documents; negative is better. p: that the '
        f"change is chance, corrected for all rows. p > bar: that no more is gained than {CONTEST_NATS} nats a target, "
        "one-sided. State: what strategies kept when the text ended, by their own word."
        + (" Bits per byte are means over texts, a change is over all their documents together." if several else "")
        + (" The number of a NONCAUSAL row is a claim and no score." if claims else "")
        + "</p>"
    )


def _cells(row: Row) -> list[str]:
    found = row.difference
    change = percent = ""
    if found is not None and row.bpb is not None:
        spread = "" if found.low is None or found.high is None else f" [{found.low:+.4f}, {found.high:+.4f}]"
        change, percent = f"{found.bpb:+.4f}{spread}", "" if row.percent is None else f"{row.percent:+.2f}"
    contest = row.contest
    return [
        NOTHING if row.rank is None else str(row.rank),
        row.name,
        NOTHING if row.bpb is None else f"{row.bpb:.4f}",
        change or ("base" if row.bpb is not None else NOTHING),
        percent,
        _number(row.p_holm) if found else "",
        f"{contest.nats:+.4f}" if contest else "",
        _number(contest.p) if contest else "",
        NOTHING if row.seconds is None else f"{row.seconds:,.1f}",
        size(row.state_bytes),
        row.verdict,
    ]


def _number(p: float | None) -> str:
    return NOTHING if p is None else "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _overview(subject: Subject) -> list[str]:
    if not any(row.difference for row in subject.rows):
        return []
    return [
        _figure(figures.change_by_row(subject.rows), "Change by composition with its 95 % interval over documents."),
        _figure(figures.score_by_seconds(subject.rows), "Bits per byte against time: low and left is better."),
    ]


def _text(part: TextPart, number: int, subject: Subject) -> str:
    if not part.lines:
        return ""
    text, left_out = part.text, len(part.lines) - figures.MOST_LINES
    more = f" The first {figures.MOST_LINES} compositions are drawn." if left_out > 0 else ""
    best = min(part.lines, key=lambda line: line.result.record.adapted.bits_per_byte)
    return "".join(
        [
            f"<h2>{escape(part.name)}</h2><p>{text.targets:,} targets, {int(text.document_bytes.sum()):,} bytes,"
            f" {len(text.document_bytes):,} documents.{more}</p>",
            _figure(figures.running_change(part), "Bits per byte up to each place of the text, less those of the plan "
                    "alone: a line that falls pulls ahead there."),
            _figure(figures.gain_by_document(part), "Gain of every document, sorted for each composition by itself."),
            _figure(figures.gain_by_length(part), "Gain of every document against its length."),
            f"<h3>Where {escape(best.name)} gains and loses</h3>",
            text_view(part, best, f"t{number}"),
        ]
    )  # fmt: skip


def _compliance(lines: Sequence[Line]) -> str:
    clauses = [one.clause for one in lines[0].result.record.clauses] if lines else []
    rows = []
    for line in lines:
        outcomes = {one.clause: one.outcome for one in line.result.record.clauses}
        rows.append([line.name, *(outcomes.get(clause, NOTHING) for clause in clauses), line.result.record.verdict])
    details = "".join(_evidence(line) for line in lines)
    return f"<h2>Compliance by clause</h2>{_table(['run', *clauses, 'verdict'], rows, names=(0,))}{details}"


def _evidence(line: Line) -> str:
    record = line.result.record
    rows = [[one.clause, one.outcome, one.evidence] for one in record.clauses]
    why = f"<p>{escape(record.checked.unchecked_because)}</p>" if record.checked.unchecked_because else ""
    return (
        f"<details><summary>{escape(line.name)}: {escape(record.data.name)}</summary>{why}"
        f"{_table(['clause', 'outcome', 'evidence'], rows, words=(1, 2))}</details>"
    )


def _provenance(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    record: RunRecord = lines[0].result.record
    environment, settings = record.environment, record.settings
    packages = ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items())
    facts = [
        ("model", f"{record.artifact.path}, {record.artifact.bytes:,} bytes, sha256 {record.artifact.sha256}"),
        ("text", f"{record.data.name}, sha256 {record.data.text_sha256}, boundaries {record.data.boundaries}"),
        ("settings", f"batch {settings.batch}, seed {settings.seed}, mode {settings.mode}"),
        ("evaladapt", f"{environment.get('evaladapt', '')}, Python {environment.get('python', '')}, {packages}"),
        ("machine", f"{environment.get('platform', '')}, {environment.get('device', '')},"
         f" {environment.get('threads', '')} threads, {environment.get('processes', '')} processes"),
    ]  # fmt: skip
    commands = dict.fromkeys(str(line.result.record.environment.get("command", "")) for line in lines)
    told = "".join(f"<pre>{escape(command)}</pre>" for command in commands)
    table = _table(["", "of the first run"], [list(one) for one in facts], names=(0,), words=(1,))
    return f"<h2>What ran it</h2>{table}<p>Run by</p>{told}"


def _figure(svg: str, caption: str) -> str:
    return f'<figure><div class="wide">{svg}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, names: Sequence[int] = (), words: Sequence[int] = ()
) -> str:
    kinds = {**dict.fromkeys(names, ' class="name"'), **dict.fromkeys(words, ' class="words"')}

    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{kinds.get(at, '')}>{escape(cell)}</{tag}>" for at, cell in enumerate(cells))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{line(heads, "th")}</tr></thead><tbody>{body}</tbody></table></div>'

"""What a report is about: rows of numbers, and for every text what each composition charged for its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaladapt.errors import DataError
from evaladapt.judge.outcome import Pass
from evaladapt.judge.records.record import SCORES
from evaladapt.results.comparison import Comparison, open_comparison
from evaladapt.results.manifest import NAME
from evaladapt.results.result import Result, open_run
from evaladapt.results.rows import Row
from evaladapt.results.scored_text import ScoredText
from evaladapt.results.statistics import contest_test, holm, p_value


@dataclass(frozen=True)
class Line:
    """One composition on one text."""

    name: str
    result: Result

    @property
    def base(self) -> Pass:
        """The plan alone."""
        assert self.result.base is not None
        return self.result.base


@dataclass(frozen=True)
class TextPart:
    """One text, and the compositions that were run on it, with the first seed where there are several."""

    name: str
    text: ScoredText
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Subject:
    """Rows as in :class:`~evaladapt.results.rows.Row`, texts, and the records to tell of, by name."""

    rows: tuple[Row, ...]
    texts: tuple[TextPart, ...]
    results: tuple[Line, ...]

    @property
    def best(self) -> Row | None:
        """The row of the first rank."""
        return next((row for row in self.rows if row.rank == 1), None)


def subject_in(folders: Sequence[Path]) -> Subject:
    """From the folder of a comparison, or from those of runs.

    Raises:
        DataError: there is neither, or runs have no base to be held against.
    """
    if len(folders) == 1 and (folders[0] / NAME).exists():
        return subject_of_comparison(open_comparison(folders[0]))
    several = [folder for folder in folders if (folder / NAME).exists()]
    if several:
        raise DataError(f"{several[0]} is a comparison, which has a report of its own; name it alone, or only runs")
    return subject_of_runs([open_run(folder) for folder in folders])


def subject_of_comparison(comparison: Comparison) -> Subject:
    """All rows, and a part for every model and text."""
    parts: list[TextPart] = []
    results: list[Line] = []
    for base in [one for one in comparison.cells if one.place.is_base and one.result]:
        assert base.result is not None
        beside = [one for one in comparison.cells if (one.model, one.text) == (base.model, base.text)
                  and one.result and not one.place.is_base and one.place.seed == 0]  # fmt: skip
        lines = tuple(Line(one.composition, one.result) for one in beside if one.result and one.result.base)
        several = len(comparison.manifest.models) > 1
        name = f"{base.text} · {base.model}" if several else base.text
        parts.append(TextPart(name, base.result.text, lines))
        results += [Line(base.composition, base.result), *lines]
    return Subject(tuple(comparison.rows), tuple(parts), tuple(results))


def subject_of_runs(results: Sequence[Result]) -> Subject:
    """A row for every run, and for every base; runs on the same text with the same base are shown together."""
    lines = [Line(_named(results, place), one) for place, one in enumerate(results)]
    groups: dict[str, list[Line]] = {}
    for line in lines:
        record = line.result.record
        if record.base is None:
            raise DataError(f"{line.name} was run without a base (--no-base), so there is nothing to show it against")
        groups.setdefault(f"{record.data.tokens_sha256} {record.base.ledger_sha256}", []).append(line)
    rows = [row for group in groups.values() for row in (_base_row(group[0]), *map(_row, group))]
    ranked = sorted((row.bpb, place) for place, row in enumerate(rows) if row.bpb is not None
                    and row.verdict in SCORES and row.difference)  # fmt: skip
    ranks = {place: number for number, (_, place) in enumerate(ranked, start=1)} if len(groups) == 1 else {}
    adjusted = holm([row.p for row in rows])
    rows = [replace(row, rank=ranks.get(place), p_holm=p)
            for place, (row, p) in enumerate(zip(rows, adjusted, strict=True))]  # fmt: skip
    parts = [TextPart(group[0].result.record.data.name, group[0].result.text, tuple(group))
             for group in groups.values()]  # fmt: skip
    return Subject(tuple(rows), tuple(parts), tuple(lines))


def _named(results: Sequence[Result], place: int) -> str:
    """The composition without its plan, numbered where several have the same."""
    names = [_without_plan(one) for one in results]
    return names[place] if names.count(names[place]) == 1 else f"{names[place]} ({place + 1})"


def _without_plan(result: Result) -> str:
    """As it is written after ``--plugins``, with the options that are not the defaults."""
    parts = []
    for one in result.record.composition[1:] or result.record.composition[:1]:
        chosen = ",".join(f"{name}={value}" for name, value in one.get("chosen", {}).items())
        parts.append(f"{one['alias']}[{chosen}]" if chosen else str(one["alias"]))
    return ",".join(parts)


def _base_row(line: Line) -> Row:
    record = line.result.record
    assert record.base is not None
    score = record.base
    return Row(score.plugins, record.artifact.path, score.plugins, "", score.bits_per_byte,
               {record.data.name: score.bits_per_byte}, seconds=score.seconds,
               state_bytes=score.state_bytes)  # fmt: skip


def _row(line: Line) -> Row:
    record, text = line.result.record, line.result.text
    score, difference = record.adapted, record.difference
    legal = record.verdict in SCORES and difference is not None
    test = contest_test(line.base.document_nats, line.result.adapted.document_nats, text.document_targets,
                        text.document_bytes) if legal else None  # fmt: skip
    return Row(line.name, record.artifact.path, line.name, record.verdict, score.bits_per_byte,
               {record.data.name: score.bits_per_byte}, record.base.bits_per_byte if record.base else None,
               difference=difference,
               p=p_value(difference) if legal and difference else None, contest=test, seconds=score.seconds,
               state_bytes=score.state_bytes)  # fmt: skip

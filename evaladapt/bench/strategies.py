"""Every strategy alone, and compositions, on several models and texts: ``evaladapt bench strategies``.

Where ``bench seeds`` asks what published forms claim on one text, this asks where a strategy helps at all: a gain
shrinks as models grow, and a default that helps on one text may do harm on another. It is a comparison like any other,
kept in a folder and continued from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evaladapt.contract.capabilities import Stage
from evaladapt.contract.registry import installed, load
from evaladapt.engine.paired import PairedDifference, paired_difference
from evaladapt.judge.records.record import RunRecord
from evaladapt.judge.request import Level
from evaladapt.results.compare import compare
from evaladapt.results.comparison import Cell, Comparison
from evaladapt.results.comparison_table import size
from evaladapt.results.grid import ProgressOf
from evaladapt.results.run import Text

DISTRIBUTION = "evaladapt"
MODELS = ("micro", "default")
BEST = (
    "ttt,slot-lbfgs,bias,ngram,hedge",
    "ttt,norm-ttt,slot-lbfgs,bias,ngram,knn,ppm,gate",
    "lora-ttt,norm-ttt,slot-lbfgs,bias,ngram,knn,ppm,gate",
)
"""The README's, and the two best that were found, on text held out from all that is measured. With the default artifact
and 12,288 targets they gain 6.6, 7.6 and 7.8 % on web text, and 21.4, 24.0 and 24.5 % on docstrings; the last takes two
to three times as long as the others."""


@dataclass(frozen=True, kw_only=True)
class StrategySettings:
    """What a person may choose.

    Attributes:
        models: artifacts' paths, shipped names, or references of model families.
        texts: by name; None is the default text.
        limit_tokens: score the first targets of every text only.
        compositions: beside every strategy alone.
        folder: where the comparison is kept, to go on from there.
        audit, inline: as for a run.
    """

    models: Sequence[str] = MODELS
    texts: Mapping[str, Text] | None = None
    limit_tokens: int | None = None
    compositions: Sequence[str] = BEST
    folder: Path | None = None
    audit: Level = "sample"
    inline: Literal[False, True] = False


@dataclass(frozen=True)
class StrategyRow:
    """A composition with a model on a text, held against the plan alone on the same targets.

    Attributes:
        percent: the difference in percent of the plan alone; negative is better.
        state_bytes: what its strategies keep when the text ends; None where they do not say.
    """

    composition: str
    verdict: str
    bpb: float | None = None
    percent: float | None = None
    difference: PairedDifference | None = None
    seconds: float | None = None
    state_bytes: int | None = None


@dataclass(frozen=True)
class StrategyTable:
    """The rows of one model on one text."""

    model: str
    text: str
    targets: int
    documents: int
    base_bpb: float
    rows: Sequence[StrategyRow]


@dataclass(frozen=True)
class StrategyReport:
    """All tables, with the machine they were measured on."""

    tables: Sequence[StrategyTable]
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"bench": "strategies", **asdict(self)}

    def to_text(self) -> str:
        """A table for every model and text, the best composition first."""
        return "\n\n".join("\n".join(_lines(one)) for one in self.tables)


def run(settings: StrategySettings, progress: ProgressOf | None = None) -> StrategyReport:
    """Carry out what is not finished, and read all of it.

    Raises:
        UsageError: a model, text or composition is not one, or the folder holds another comparison.
        EvaladaptError: a run cannot be carried out.
    """
    comparison = compare(
        settings.models, settings.texts, [*alone(), *settings.compositions], limit_tokens=settings.limit_tokens,
        audit=settings.audit, inline=settings.inline, folder=settings.folder, resume=True, progress=progress,
    )  # fmt: skip
    return StrategyReport(list(_tables(comparison)), comparison.cells[0].record.environment)


def alone() -> list[str]:
    """Every strategy that comes with evaladapt, plans a text for nobody, and sees no target before its time."""
    names = sorted({one.alias for one in installed() if one.distribution == DISTRIBUTION})
    types = {name: load(f"{DISTRIBUTION}:{name}").capabilities for name in names}
    return [name for name, one in types.items() if one.stage != Stage.PLAN and not one.peeks]


def _tables(comparison: Comparison) -> Iterator[StrategyTable]:
    for base in comparison.cells:
        if not base.place.is_base:
            continue
        record = base.record
        assert isinstance(record, RunRecord)
        cells = [one for one in comparison.cells if (one.model, one.text) == (base.model, base.text)]
        rows = [_row(one, base, record.adapted.bits_per_byte) for one in cells if one is not base]
        rows.sort(key=lambda row: (row.bpb is None, row.bpb))
        data = record.data
        yield StrategyTable(base.model, base.text, data.targets, data.documents, record.adapted.bits_per_byte, rows)


def _row(cell: Cell, base: Cell, base_bpb: float) -> StrategyRow:
    record = cell.record
    if cell.result is None or not isinstance(record, RunRecord):
        return StrategyRow(cell.composition, record.verdict)
    assert base.result is not None
    score, before = record.adapted, base.result.adapted.document_nats
    difference = paired_difference(before, cell.result.adapted.document_nats, base.result.text.document_bytes)
    return StrategyRow(cell.composition, record.verdict, score.bits_per_byte, 100 * difference.bpb / base_bpb,
                       difference, score.seconds, score.state_bytes)  # fmt: skip


def _lines(table: StrategyTable) -> list[str]:
    width = max(len(row.composition) for row in table.rows)
    head = (f"{table.model} on {table.text}: {table.targets:,} targets, {table.documents:,} documents,"
            f" the plan alone {table.base_bpb:.4f} bits per byte")  # fmt: skip
    columns = f"{'':{width}}  {'bpb':>7}  {'change':>8}  {'95 % interval':>18}  {'seconds':>8}  {'state':>8}  verdict"
    return [head, columns, *(_line(row, width) for row in table.rows)]


def _line(row: StrategyRow, width: int) -> str:
    if row.bpb is None or row.difference is None or row.percent is None:
        return f"{row.composition:{width}}  no score: {row.verdict}"
    low, high = row.difference.low, row.difference.high
    interval = "" if low is None or high is None else f"{low:+.4f} {high:+.4f}"
    return (f"{row.composition:{width}}  {row.bpb:7.4f}  {row.percent:+6.2f} %  {interval:>18}  {row.seconds:8.1f}"
            f"  {size(row.state_bytes):>8}  {row.verdict}")  # fmt: skip

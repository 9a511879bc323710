"""A comparison that was carried out: its cells, its rows, and the difference between any two of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.engine.paired import PairedDifference, paired_difference
from evaladapt.errors import DataError, UsageError, near_miss
from evaladapt.judge.records.folder import RECORD
from evaladapt.judge.records.record import VIOLATED, Record, RunRecord
from evaladapt.judge.records.record_file import read_any_record
from evaladapt.results.manifest import Manifest, Place, read_manifest
from evaladapt.results.result import Result, open_cell, open_run
from evaladapt.results.rows import Row, rows_of
from evaladapt.results.statistics import ContestTest, contest_test
from evaladapt.results.table import Table

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Cell:
    """One run of a comparison; ``result`` is None where it broke the contract and has no score."""

    place: Place
    model: str
    text: str
    composition: str
    seed: int
    record: Record
    result: Result | None


@dataclass(frozen=True)
class CellRow:
    """A cell in a data frame; numbers are None where there is no score."""

    model: str
    text: str
    composition: str
    seed: int
    verdict: str
    bpb: float | None
    base_bpb: float | None
    gain: float | None
    seconds: float | None
    state_bytes: float | None


class Comparison:
    """Cells of one folder, by row: a row is a composition with a model, over all texts and seeds.

    Attributes:
        folder: where everything lies; a temporary one until :meth:`save`, unless another was named.
        manifest: what was compared.
        cells: the runs, in the order in which they were run.
    """

    def __init__(self, folder: Path, manifest: Manifest, cells: Sequence[Cell]) -> None:
        self.folder, self.manifest, self.cells = folder, manifest, tuple(cells)

    @cached_property
    def rows(self) -> list[Row]:
        """The plan alone and every composition of every model, as they were asked for; ``rank`` says which is best."""
        return rows_of(self)

    @property
    def names(self) -> list[str]:
        """What the rows are called."""
        return [self._called(model, label) for model in self.manifest.models for label in self._labels]

    def of_row(self, name: str) -> list[Cell]:
        """The cells of a row.

        Raises:
            UsageError: there is no such row.
        """
        if name not in self.names:
            raise UsageError(f"there is no row {name!r}.{near_miss(name, self.names)} Rows: {', '.join(self.names)}")
        return [one for one in self.cells if self._called(one.model, one.composition) == name]

    def base_of(self, name: str) -> str:
        """The row of the plan alone with the model of a row."""
        return self._called(self.of_row(name)[0].model, self.manifest.plan)

    def difference(self, before: str, after: str) -> PairedDifference:
        """The change in bits per byte from one row to another; negative says that ``after`` is better.

        Paired over the documents of all texts; what a document costs is its mean over the seeds.

        Raises:
            UsageError: there is no such row, one has no score, or they are of other documents.
        """
        return paired_difference(self.document_nats(before), self.document_nats(after), self._same(before, after)[0])

    def contest(self, before: str, after: str) -> ContestTest:
        """The contest's test of a gain from one row to another, over the same documents.

        Raises:
            UsageError: as :meth:`difference`.
        """
        sizes, targets = self._same(before, after)
        return contest_test(self.document_nats(before), self.document_nats(after), targets, sizes)

    def document_nats(self, name: str) -> NDArray[np.float64]:
        """[D]: what every document of all texts costs under a row, the mean over its seeds.

        Raises:
            UsageError: there is no such row, or it has no score.
        """
        by_text: dict[str, list[NDArray[np.float64]]] = {}
        for one in self.of_row(name):
            if one.result is None:
                raise UsageError(f"{name} broke the contract, so it has no score to compare")
            by_text.setdefault(one.text, []).append(one.result.adapted.document_nats)
        return np.concatenate([np.mean(seeds, axis=0) for seeds in by_text.values()])

    def table(self, width: int | None = None) -> str:
        """For a terminal of so many columns, this one's without a number."""
        from evaladapt.results.comparison_table import comparison_table

        return comparison_table(self, width or shutil.get_terminal_size().columns)

    def runs(self) -> Table[CellRow]:
        """One row a cell."""
        rows = [_cell_row(one, self._base_cell(one)) for one in self.cells]
        return Table.of(CellRow, rows)

    def to_pandas(self) -> pandas.DataFrame:
        """One row a cell, see :class:`CellRow`.

        Raises:
            UsageError: pandas is not installed.
        """
        return self.runs().to_pandas()

    def to_json(self) -> dict[str, Any]:
        """Rows, the differences between all of them, and the records of all cells."""
        scored = [one.name for one in self.rows if one.bpb is not None]
        pairs = [(one, two) for place, one in enumerate(scored) for two in scored[place + 1 :]]
        return {
            "rows": [asdict(one) for one in self.rows],
            "differences": [{"before": one, "after": two, **asdict(self.difference(one, two))} for one, two in pairs
                            if self._same_documents(one, two)],
            "records": [one.record.to_json() for one in self.cells],
        }  # fmt: skip

    def report(self, path: str | Path) -> None:
        """Write one HTML page that needs nothing else.

        Raises:
            UsageError: matplotlib is not installed.
            DataError: it cannot be written.
        """
        from evaladapt.results.report.page import write_report
        from evaladapt.results.report.subject import subject_of_comparison

        write_report(subject_of_comparison(self), Path(path))

    def save(self, folder: str | Path) -> None:
        """Copy everything to a new folder, which :func:`open_comparison` and the command line read.

        Raises:
            UsageError: there is something already.
            DataError: it cannot be written.
        """
        try:
            shutil.copytree(self.folder, folder)
        except FileExistsError:
            raise UsageError(f"{folder} is there already; take another name") from None
        except OSError as error:
            raise DataError(f"{folder} cannot be written: {error}") from error

    @property
    def _labels(self) -> tuple[str, ...]:
        return (self.manifest.plan, *self.manifest.compositions)

    def _called(self, model: str, composition: str) -> str:
        return f"{composition} · {model}" if len(self.manifest.models) > 1 else composition

    def _base_cell(self, cell: Cell) -> Cell:
        return next(one for one in self.cells if one.place.is_base
                    and (one.model, one.text) == (cell.model, cell.text))  # fmt: skip

    def _same_documents(self, before: str, after: str) -> bool:
        one, two = ([cell.record.data.text_sha256 for cell in self.of_row(name)] for name in (before, after))
        return list(dict.fromkeys(one)) == list(dict.fromkeys(two))

    def _same(self, before: str, after: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Bytes and targets of the documents that two rows share, targets as ``before`` has them."""
        if not self._same_documents(before, after):
            raise UsageError(
                f"{before} and {after} are of other documents: tokenizers cut a text at different places. Leave out"
                " --limit-tokens, and limit the text itself"
            )
        sizes: list[NDArray[np.int64]] = []
        targets: list[NDArray[np.int64]] = []
        for one in {cell.text: cell for cell in self.of_row(before) if cell.result}.values():
            assert one.result is not None
            sizes.append(one.result.text.document_bytes)
            targets.append(one.result.text.document_targets)
        return np.concatenate(sizes), np.concatenate(targets)


def open_comparison(folder: str | Path) -> Comparison:
    """A comparison from its folder; nothing is run.

    Raises:
        DataError: there is none, it is not finished, or its cells do not belong together.
    """
    place = Path(folder)
    manifest = read_manifest(place)
    cells: list[Cell] = []
    base: Result | None = None
    for one in manifest.places():
        where = place / one.name
        if not (where / RECORD).exists():
            raise DataError(f"{place} is not finished: {manifest.called(one)} was not run. The same evaladapt compare"
                            " with --resume goes on")  # fmt: skip
        base = open_run(where) if one.is_base else base
        assert base is not None
        cells.append(_read_cell(where, one, manifest, base))
    return Comparison(place, manifest, cells)


def _read_cell(folder: Path, place: Place, manifest: Manifest, base: Result) -> Cell:
    record: Record = read_any_record(folder / RECORD)
    if record.composition[0] != base.record.composition[0]:
        label = manifest.compositions[place.composition or 0]
        raise UsageError(f"{label} plans otherwise than the base ({record.composition[0]['alias']} with its options);"
                         " compare under one plan, or run it alone: evaladapt run")  # fmt: skip
    result = base if place.is_base else None if record.verdict == VIOLATED else open_cell(folder, base)
    label = manifest.plan if place.composition is None else manifest.compositions[place.composition]
    return Cell(place, manifest.models[place.model], manifest.texts[place.text], label, manifest.seeds[place.seed],
                record, result)  # fmt: skip


def _cell_row(cell: Cell, base: Cell) -> CellRow:
    record, plan = cell.record, base.record
    assert isinstance(plan, RunRecord)
    if not isinstance(record, RunRecord) or cell.result is None:
        return CellRow(cell.model, cell.text, cell.composition, cell.seed, record.verdict, None,
                       plan.adapted.bits_per_byte, None, None, None)  # fmt: skip
    score = record.adapted
    return CellRow(
        cell.model, cell.text, cell.composition, cell.seed, record.verdict, score.bits_per_byte,
        plan.adapted.bits_per_byte, plan.adapted.bits_per_byte - score.bits_per_byte, score.seconds,
        None if score.state_bytes is None else float(score.state_bytes),
    )  # fmt: skip

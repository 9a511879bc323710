"""The rows of a comparison: a composition with a model, over all texts and seeds, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from evaladapt.engine.paired import PairedDifference
from evaladapt.judge.records.record import CAUSAL, NONCAUSAL, PROVEN, SCORES, UNCHECKED, VIOLATED, RunRecord
from evaladapt.results.statistics import ContestTest, holm, p_value

if TYPE_CHECKING:
    from evaladapt.results.comparison import Cell, Comparison

WORST_FIRST = (VIOLATED, NONCAUSAL, UNCHECKED, CAUSAL, PROVEN)


@dataclass(frozen=True)
class Row:
    """A composition with a model.

    Attributes:
        name: composition, and model where there are several.
        verdict: the worst of its cells.
        bpb: mean over texts of the mean over seeds; of a claim, what it claims; None where a cell has no score.
        by_text: the same by text.
        base_bpb: the mean over texts of the plan alone; None for the plan alone.
        seed_spread: standard deviation over seeds of the mean over texts; None with one seed.
        rank: by ``bpb``, from 1; None for the base, and for what is no score.
        difference: from the plan alone, paired over documents.
        p: that the difference is there by chance, two-sided.
        p_holm: the same, adjusted for all rows that are compared with a base.
        contest: the gain held against the contest's bar.
        seconds: of a pass over all texts, the mean over seeds.
        state_bytes: most that its strategies keep when a text ends, by their own word; None where they do not say.
    """

    name: str
    model: str
    composition: str
    verdict: str
    bpb: float | None = None
    by_text: dict[str, float] = field(default_factory=dict)
    base_bpb: float | None = None
    seed_spread: float | None = None
    rank: int | None = None
    difference: PairedDifference | None = None
    p: float | None = None
    p_holm: float | None = None
    contest: ContestTest | None = None
    seconds: float | None = None
    state_bytes: int | None = None

    @property
    def percent(self) -> float | None:
        """The difference in percent of the plan alone; None over several texts, where it is none of means."""
        if self.difference is None or not self.base_bpb or len(self.by_text) > 1:
            return None
        return 100 * self.difference.bpb / self.base_bpb


def rows_of(comparison: Comparison) -> list[Row]:
    """All rows, with ranks and corrected p values."""
    rows = [_row(comparison, name) for name in comparison.names]
    scores = {one.name: one.bpb for one in rows}
    bases = {one.name: scores[comparison.base_of(one.name)] for one in rows if one.difference is not None}
    ranked = sorted((one.bpb, place) for place, one in enumerate(rows) if one.bpb is not None
                    and one.verdict in SCORES and one.difference is not None)  # fmt: skip
    ranks = {place: number for number, (_, place) in enumerate(ranked, start=1)}
    adjusted = holm([one.p for one in rows])
    return [
        replace(one, rank=ranks.get(place), p_holm=adjusted[place], base_bpb=bases.get(one.name))
        for place, one in enumerate(rows)
    ]


def _row(comparison: Comparison, name: str) -> Row:
    cells = comparison.of_row(name)
    verdict = min((one.record.verdict for one in cells), key=WORST_FIRST.index)
    first, base = cells[0], comparison.base_of(name)
    row = Row(name, first.model, first.composition, verdict)
    if verdict == VIOLATED:
        return row
    row = _scored(row, cells)
    if name == base:
        return row
    difference = comparison.difference(base, name)
    legal = verdict in SCORES
    return replace(row, difference=difference, p=p_value(difference) if legal else None,
                   contest=comparison.contest(base, name) if legal else None)  # fmt: skip


def _scored(row: Row, cells: Sequence[Cell]) -> Row:
    """With the means over cells."""
    records = [one.record for one in cells if isinstance(one.record, RunRecord)]
    texts = dict.fromkeys(one.text for one in cells)
    seeds = dict.fromkeys(one.seed for one in cells)
    scores = [(one.text, one.seed, record.adapted) for one, record in zip(cells, records, strict=True)]
    by_text = {text: fmean(score.bits_per_byte for at, _, score in scores if at == text) for text in texts}
    by_seed = [fmean(score.bits_per_byte for _, at, score in scores if at == seed) for seed in seeds]
    states = [score.state_bytes for _, _, score in scores if score.state_bytes is not None]
    return replace(
        row,
        bpb=fmean(by_text.values()),
        by_text=by_text,
        seed_spread=stdev(by_seed) if len(by_seed) > 1 else None,
        seconds=sum(score.seconds for _, _, score in scores) / len(seeds),
        state_bytes=max(states, default=None),
    )

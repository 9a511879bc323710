"""Running a comparison: every composition with every seed on every text with every model, each once.

A cell is one run in a folder of its own, so an interrupted comparison goes on where it stopped: finished cells are not
run again, an unfinished one continues from its snapshot. The plan alone is scored once per model and text; it is the
base of all cells there, and its folder keeps the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.judge.charging import Progress
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.folder import RECORD
from evaladapt.judge.records.record import outcome_again, write_record
from evaladapt.judge.request import Composed, Request
from evaladapt.judge.trial import try_compositions
from evaladapt.results.carrying_out import carry_out
from evaladapt.results.manifest import Manifest, Place
from evaladapt.results.models import Model
from evaladapt.results.result import open_run
from evaladapt.results.variants import Options, Variant

ProgressOf = Callable[[str], Progress]


@dataclass(frozen=True)
class Subject:
    """A model and a text; ``request`` has all that their cells share."""

    model: Model
    request: Request


@dataclass(frozen=True)
class Grid:
    """What to compare.

    Attributes:
        manifest: its names, as they are kept; ``manifest.places()`` are the cells.
        subjects: one for every model and text, in the manifest's order.
        variants: the compositions, in the manifest's order.
        plan_options: options of the plan, wherever it stands without its own.
    """

    manifest: Manifest
    subjects: Sequence[Subject]
    variants: Sequence[Variant]
    plan_options: Options = field(default_factory=dict)
    allow_noncausal: bool = False

    def run(self, folder: Path, progress: ProgressOf | None = None) -> None:
        """Carry out every cell that is not finished in ``folder``.

        Raises:
            EvaladaptError: a cell cannot be carried out, or a strategy failed.
        """
        places = list(self.manifest.places())
        texts = len(self.manifest.texts)
        for number, subject in enumerate(self.subjects):
            cells = [one for one in places if (one.model, one.text) == divmod(number, texts)]
            if all((folder / one.name / RECORD).exists() for one in cells):
                continue
            self._run_subject(subject, cells, folder, progress)

    def try_compositions(self, folder: Path) -> None:
        """Make every composition that has a cell to run in ``folder``, and throw it away.

        Raises:
            UsageError, PluginError: one cannot be made; it is told before the first run, and not when it is its turn.
        """
        left = [one for one in self.manifest.places() if not (folder / one.name / RECORD).exists()]
        distinct = {one.composition: self._composed(one) for one in left}
        subject = self.subjects[0]
        with subject.model.opened() as opened:
            try_compositions(replace(subject.request, opened=opened), list(distinct.values()))

    def _composed(self, cell: Place) -> Composed:
        if cell.composition is None:
            return Composed(names=(self.manifest.plan,), options=self.plan_options)
        variant = self.variants[cell.composition]
        return Composed(names=variant.names, options=variant.options, allow_noncausal=self.allow_noncausal)

    def _run_subject(self, subject: Subject, cells: Sequence[Place], folder: Path, progress: ProgressOf | None) -> None:
        with subject.model.opened() as opened:
            request = replace(subject.request, opened=opened, open_text=_once(subject.request.open_text))
            base: Outcome | None = None
            for cell in cells:
                place = folder / cell.name
                if not (place / RECORD).exists():
                    place.mkdir(parents=True, exist_ok=True)
                    self._run_cell(replace(request, folder=place, resume=True), cell, base, progress)
                if cell.is_base:
                    plan = open_run(place)
                    base = outcome_again(plan.record.adapted, plan.adapted, plan.record.artifact.weights_sha256)

    def _run_cell(self, request: Request, cell: Place, base: Outcome | None, progress: ProgressOf | None) -> None:
        settings = replace(request.settings, seed=self.manifest.seeds[cell.seed])
        asked = replace(request, composed=self._composed(cell), settings=settings, with_base=False)
        name = self.manifest.called(cell)
        done = carry_out(asked, _named(progress, name), base=base, keep_text=cell.is_base)
        assert request.folder is not None
        write_record(request.folder / RECORD, done.record)


def _named(progress: ProgressOf | None, name: str) -> ProgressOf | None:
    """Progress of a cell under the cell's name."""
    return None if progress is None else lambda phase: progress(name if phase == "adapted" else f"{name}, {phase}")


def _once(open_text: Callable[[Tokenizer], TokenStream]) -> Callable[[Tokenizer], TokenStream]:
    """A text is read and tokenised for the first cell; the others have the same."""
    found: list[TokenStream] = []

    def opened(tokenizer: Tokenizer) -> TokenStream:
        if not found:
            found.append(open_text(tokenizer))
        return found[0]

    return opened

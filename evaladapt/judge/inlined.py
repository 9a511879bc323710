"""A request carried out in this process: tracebacks, breakpoints, and no proof of anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

from evaladapt.contract.composition import Composition
from evaladapt.engine.player.setup import Setup
from evaladapt.errors import ContractViolation
from evaladapt.judge.charging import Progress, TargetCoder
from evaladapt.judge.evaluate import Evaluated
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.folder import ADAPTED, BASE
from evaladapt.judge.records.record import Checked
from evaladapt.judge.records.remembered import remembered_base
from evaladapt.judge.records.snapshot import Journal
from evaladapt.judge.records.verdict import broken_record, finished_record
from evaladapt.judge.request import Request

WHY = "run inside one process (--inline), where a strategy can reach the text"


def evaluated_inline(
    request: Request,
    progress: Callable[[str], Progress] | None = None,
    base: Outcome | None = None,
    coder: TargetCoder | None = None,
) -> Evaluated:
    """As :func:`evaladapt.judge.evaluate.evaluated`, without players."""
    here = _Here(request, progress)
    composition, stream = here.setup.composition, here.stream
    ready: dict[str, Any] = {**here.setup.description(), "files": []}
    checked = Checked(unchecked_because=WHY)
    try:
        if not composition.adaptive:
            base = None
        elif base is None and request.with_base:
            base = here.remembered_base(composition.base()) or here.play(BASE, composition.base())
        outcome = here.play(ADAPTED, composition, coder)
    except ContractViolation as violation:
        return Evaluated(broken_record(request, ready, stream, violation, base, checked), stream, base, None)
    record = finished_record(request, ready, stream, outcome, base, checked)
    return Evaluated(record, stream, base, outcome)


def base_inline(request: Request, progress: Callable[[str], Progress] | None = None) -> Outcome:
    """As :func:`evaladapt.judge.evaluate.score_base`, without a player."""
    here = _Here(request, progress)
    return here.play(BASE, here.setup.composition.base())


class _Here:
    """Model, strategies and text of a request, all of them in this process."""

    def __init__(self, request: Request, progress: Callable[[str], Progress] | None) -> None:
        self.setup = Setup.of(json.loads(request.recipe(base=False).to_json()), request.opened)
        self.stream = request.open_text(self.setup.opened.tokenizer)
        self._request, self._progress = request, progress

    def remembered_base(self, plan: Composition) -> Outcome | None:
        """The base as a run beside this one has scored it, sealed or not."""
        if self._request.folder is None or self._request.processes > 1:
            return None
        return remembered_base(self._request.folder, self._facts(plan), self.stream, sealed=False)

    def _facts(self, composition: Composition) -> dict[str, Any]:
        return self._request.facts(replace(self.setup, composition=composition).description(), self.stream.sha256)

    def play(self, name: str, composition: Composition, coder: TargetCoder | None = None) -> Outcome:
        """One pass."""
        request, setup = self._request, self.setup
        journal = None
        if request.folder is not None:
            journal = Journal(
                request.folder,
                name,
                self._facts(composition),
                resume=request.resume,
                writes=request.writes,
                say=request.say,
            )
        with closing(journal.file) if journal else nullcontext():
            return InlineRun(
                setup.opened.backend, self.stream, composition, setup.settings, boundaries=request.boundaries,
                coder=coder, journal=journal, progress=self._progress(name) if self._progress else None,
                vocabulary=setup.vocabulary,
            ).run()  # fmt: skip

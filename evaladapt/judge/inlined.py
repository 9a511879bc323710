"""A request carried out in this process: tracebacks, breakpoints, and no proof of anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

from evaladapt.contract.composition import Composition
from evaladapt.engine.setup import Setup
from evaladapt.errors import ContractViolation
from evaladapt.judge.charging import Progress
from evaladapt.judge.evaluate import ADAPTED, BASE, Evaluated
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.record import Checked
from evaladapt.judge.request import Request
from evaladapt.judge.snapshot import Journal
from evaladapt.judge.verdict import broken_record, finished_record
from evaladapt.system.processes import ALONE, Processes

WHY = "run inside one process (--inline), where a strategy can reach the text"


def evaluated_inline(
    request: Request,
    progress: Callable[[str], Progress] | None = None,
    base: Outcome | None = None,
    *,
    processes: Processes = ALONE,
) -> Evaluated:
    """As :func:`evaladapt.judge.evaluate.evaluated`, without players."""
    setup = Setup.of(json.loads(request.recipe(base=False).to_json()))
    stream = request.open_text(setup.opened.tokenizer)
    ready: dict[str, Any] = {**setup.description(), "files": []}
    checked = Checked(unchecked_because=WHY)

    def play(name: str, composition: Composition) -> Outcome:
        journal = None
        if request.folder is not None:
            played = replace(setup, composition=composition).description()
            journal = Journal(
                request.folder,
                name,
                request.facts(played, stream.sha256),
                resume=request.resume,
                writes=request.writes,
                say=request.say,
            )
        with closing(journal.file) if journal else nullcontext():
            return InlineRun(
                setup.opened.backend, stream, composition, setup.settings, boundaries=request.boundaries,
                journal=journal, progress=progress(name) if progress else None, processes=processes,
                vocabulary=setup.vocabulary,
            ).run()  # fmt: skip

    composition = setup.composition
    try:
        if not composition.adaptive:
            base = None
        elif base is None and request.with_base:
            base = play(BASE, composition.base())
        outcome = play(ADAPTED, composition)
    except ContractViolation as violation:
        return Evaluated(broken_record(request, ready, stream, violation, base, checked), stream, base, None)
    record = finished_record(request, ready, stream, outcome, base, checked)
    return Evaluated(record, stream, base, outcome)

"""A claim paid for: the same predictions as a code, with what its decoder would have to be told beside the text.

A strategy that peeks is shown its targets, so nothing of this is a score, and it runs in this process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from evaladapt.data.stream import TokenStream
from evaladapt.engine.player.setup import Setup
from evaladapt.errors import PluginError
from evaladapt.judge.charging import Boundaries, Progress
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.records.record import Charged, RunRecord
from evaladapt.judge.request import Request
from evaladapt.judge.side import STEPS, TRIED_ON, SideInformation


def charged_claim(request: Request, record: RunRecord, progress: Progress | None = None) -> Charged | None:
    """What a claim costs as a code; None where a strategy that peeks does not say what it fitted.

    Args:
        request: the run that made the claim.
        record: its record, for the base.
        progress: of the last pass.

    Raises:
        PluginError: what is predicted does not follow from what is told.
    """
    setup = Setup.of(json.loads(request.recipe(base=False).to_json()), request.opened)
    stream = request.open_text(setup.opened.tokenizer)
    return charge(setup, stream, record, progress, request.boundaries)


def charge(
    setup: Setup,
    stream: TokenStream,
    record: RunRecord,
    progress: Progress | None = None,
    boundaries: Boundaries = "paid",
) -> Charged | None:
    """The same for what is open already."""
    if not all("fitted" in member.type.hooks for member in setup.composition.peeking):
        return None
    start = stream.limit(min(TRIED_ON, stream.targets))
    tried = {step: _run(setup, step, start, boundaries) for step in STEPS}
    _refuse_unheeded(setup, tried)
    step = min(STEPS, key=lambda one: tried[one][0].bits + tried[one][1].bits)
    whole = start.targets == stream.targets
    outcome, side = tried[step] if whole else _run(setup, step, stream, boundaries, progress)
    told = side.bits + math.log2(len(STEPS))
    windows = sum(len(batch.windows) for batch in _inline(setup, stream, boundaries).engine.batches())
    return Charged(
        charged_bpb=(outcome.bits + told) / stream.text_bytes,
        text_bpb=outcome.bits / stream.text_bytes,
        side_bpb=told / stream.text_bytes,
        numbers=side.numbers,
        step=step,
        windows=windows,
        break_even_bits=(record.base.bits - record.adapted.bits) / windows if record.base else None,
    )


def _refuse_unheeded(setup: Setup, tried: Mapping[float, tuple[Outcome, SideInformation]]) -> None:
    """Coarser steps tell other numbers; where the ledger stays the same all the same, the numbers were copies."""
    ledgers = {outcome.digest for outcome, _ in tried.values()}
    told = {side.digest for _, side in tried.values()}
    if len(ledgers) == 1 < len(told):
        names = ", ".join(member.alias for member in setup.composition.peeking)
        raise PluginError(
            f"{names} predicts the same whatever is told in place of what it fitted, so its claim cannot be charged."
            " Its hook fitted must return the very tensors that the predictions are made from, not copies"
        )


def _run(
    setup: Setup, step: float, stream: TokenStream, boundaries: Boundaries, progress: Progress | None = None
) -> tuple[Outcome, SideInformation]:
    side = SideInformation(step)
    return _inline(setup, stream, boundaries, side, progress).run(), side


def _inline(
    setup: Setup,
    stream: TokenStream,
    boundaries: Boundaries,
    side: SideInformation | None = None,
    progress: Progress | None = None,
) -> InlineRun:
    return InlineRun(setup.opened.backend, stream, setup.composition, setup.settings, boundaries=boundaries,
                     side=side, progress=progress,
                     vocabulary=setup.vocabulary)  # fmt: skip

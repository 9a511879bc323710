"""The price of side information: what a strategy that peeks fitted, quantised, coded, and predicted from as coded.

A decoder does not have the targets that such a strategy was shown, so it would have to be told what was fitted to them.
Every number is rounded to a multiple of a step, the predictions are made from the rounded numbers, and their code
length is added to the text's. The code is adaptive: each strategy's tensor has its own counts of values, started at a
half (Krichevsky and Trofimov 1981); values beyond ±127 are escaped and take an Elias gamma code and a sign.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.data.stream import TokenStream
from evaladapt.engine.evaluate import Request
from evaladapt.engine.loop import Engine, Outcome, Progress
from evaladapt.engine.record import Charged, RunRecord
from evaladapt.errors import PluginError

LARGEST = 127
ESCAPE = 2 * LARGEST + 1
HALF = 0.5
STEPS = (4.0, 2.0, 1.0, 0.25)
"""Steps that are tried on the first targets of the text; telling which was taken is paid for too."""
TRIED_ON = 2048


class AdaptiveCode:
    """Length of a sequence of integers under counts that start at a half; it does not depend on their order."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(ESCAPE + 1, dtype=np.int64)
        self._escaped = 0.0

    def add(self, values: NDArray[np.int64]) -> None:
        """Code more integers."""
        beyond = np.abs(values) > LARGEST
        self._counts += np.bincount(np.where(beyond, ESCAPE, values + LARGEST), minlength=ESCAPE + 1)
        excess = np.abs(values[beyond]) - LARGEST
        self._escaped += float((2 * np.floor(np.log2(excess)) + 2).sum())

    @property
    def bits(self) -> float:
        """Code length so far: −log2 of the Dirichlet-multinomial probability, and the escaped values."""
        symbols, total = len(self._counts), int(self._counts.sum())
        nats = math.lgamma(total + HALF * symbols) - math.lgamma(HALF * symbols)
        nats -= sum(math.lgamma(count + HALF) - math.lgamma(HALF) for count in self._counts.tolist() if count)
        return nats / math.log(2) + self._escaped


class SideInformation:
    """Rounds what strategies fitted to a step and adds up what telling it costs."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.numbers = 0
        self._codes: dict[tuple[str, str], AdaptiveCode] = {}
        self._told = hashlib.sha256()

    def tell(self, strategy: str, fitted: Mapping[str, Tensor]) -> None:
        """Overwrite the tensors with their rounded values."""
        for name, tensor in fitted.items():
            rounded = torch.round(tensor.detach().double() / self.step)
            self._codes.setdefault((strategy, name), AdaptiveCode()).add(
                rounded.flatten().cpu().numpy().astype(np.int64)
            )
            self.numbers += tensor.numel()
            with torch.no_grad():
                tensor.copy_(rounded * self.step)
            self._told.update(tensor.detach().cpu().numpy().tobytes())

    @property
    def bits(self) -> float:
        """Code length of everything told."""
        return sum(code.bits for code in self._codes.values())

    @property
    def digest(self) -> str:
        """SHA-256 of everything told."""
        return self._told.hexdigest()


def charge_claim(request: Request, record: RunRecord, progress: Progress | None = None) -> Charged | None:
    """What a claim costs as a code; None where a strategy that peeks does not say what it fitted.

    Args:
        request: the run that made the claim.
        record: its record, for the base.
        progress: of the last pass.

    Raises:
        PluginError: what is predicted does not follow from what is told.
    """
    if not all("fitted" in member.type.hooks for member in request.composition.peeking):
        return None
    start = request.stream.limit(min(TRIED_ON, request.stream.targets))
    tried = {step: _run(request, step, start) for step in STEPS}
    _refuse_unheeded(request, tried)
    step = min(STEPS, key=lambda one: tried[one][0].bits + tried[one][1].bits)
    whole = start.targets == request.stream.targets
    outcome, side = tried[step] if whole else _run(request, step, request.stream, progress)
    size = request.stream.text_bytes
    told = side.bits + math.log2(len(STEPS))
    windows = sum(len(batch.windows) for batch in _engine(request, request.stream).batches())
    return Charged(
        charged_bpb=(outcome.bits + told) / size,
        text_bpb=outcome.bits / size,
        side_bpb=told / size,
        numbers=side.numbers,
        step=step,
        windows=windows,
        break_even_bits=(record.base.bits - record.adapted.bits) / windows if record.base else None,
    )


def _refuse_unheeded(request: Request, tried: Mapping[float, tuple[Outcome, SideInformation]]) -> None:
    """Coarser steps tell other numbers; where the ledger stays the same all the same, the numbers were copies."""
    ledgers = {outcome.digest for outcome, _ in tried.values()}
    told = {side.digest for _, side in tried.values()}
    if len(ledgers) == 1 < len(told):
        names = ", ".join(member.alias for member in request.composition.peeking)
        raise PluginError(
            f"{names} predicts the same whatever is told in place of what it fitted, so its claim cannot be charged."
            " Its hook fitted must return the very tensors that the predictions are made from, not copies"
        )


def _run(
    request: Request, step: float, stream: TokenStream, progress: Progress | None = None
) -> tuple[Outcome, SideInformation]:
    side = SideInformation(step)
    return _engine(request, stream, side, progress).run(), side


def _engine(
    request: Request, stream: TokenStream, side: SideInformation | None = None, progress: Progress | None = None
) -> Engine:
    return Engine(request.model, stream, request.composition, request.settings, side=side, progress=progress)

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

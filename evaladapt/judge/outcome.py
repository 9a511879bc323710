"""What a pass over a text came to: what was charged, and what its player said of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaladapt.data.boundaries import pack_boundaries
from evaladapt.engine.loop import Closing
from evaladapt.judge.charging import Charging


class Pass(Protocol):
    """What one pass over the text charged, in nats."""

    @property
    def document_nats(self) -> NDArray[np.float64]:
        """[D], by document of the target."""

    @property
    def target_nats(self) -> NDArray[np.float32]:
        """[N+1], by target; 0 at index 0, which is no target."""


@dataclass(frozen=True)
class Outcome:
    """A pass. Sums are float64; ``document_nats`` is by document of the target, without boundaries.

    Attributes:
        nats: Σ −ln p over what is charged.
        boundary_bits: coded length of the boundaries between documents, where they are paid for apart.
        target_nats: float32 [N+1], by target.
        digest: of the ledger.
        worst_sum: largest |ln Σ p| of a distribution, in nats.
        seconds: of wall clock.
        taken_from: the ledger of another run that scored it; None where it was scored here.
    """

    targets: int
    nats: float
    boundary_bits: int
    document_nats: NDArray[np.float64]
    target_nats: NDArray[np.float32]
    digest: str
    worst_sum: float
    seconds: float
    closing: Closing
    taken_from: str | None = None

    @property
    def bits(self) -> float:
        """What the text costs: Σ −log2 p and its boundaries."""
        return self.nats / math.log(2) + self.boundary_bits


def outcome_of(charging: Charging, closing: Closing, seconds: float) -> Outcome:
    """Close the ledger.

    Raises:
        ContractViolation: clause C4, when a target was not predicted.
    """
    ledger = charging.ledger
    ledger.finish()
    return Outcome(
        targets=ledger.targets,
        nats=ledger.nats,
        boundary_bits=boundary_bits(charging.shape.document_starts),
        document_nats=ledger.document_nats,
        target_nats=ledger.target_nats,
        digest=ledger.digest,
        worst_sum=charging.worst_sum,
        seconds=seconds,
        closing=closing,
    )


def boundary_bits(document_starts: tuple[int, ...] | None) -> int:
    """Bits of the table that tells a decoder where documents start; none where boundaries are charged as tokens."""
    return 8 * len(pack_boundaries(np.array(document_starts))) if document_starts else 0

"""The gradient of one step: of the mean loss over all its rows, however many parts and processes they are split into.

The trainer hands over a loss and a batch; the gradients end in the weights, averaged over processes and clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evaladapt.errors import UsageError
from evaladapt.system.processes import Processes, rows_of
from evaladapt.train.loader import TokenBatch


@dataclass(frozen=True)
class StepGradient:
    """Mean ``loss`` of the step in nats per token, and the ``norm`` of its gradient before clipping."""

    loss: float
    norm: float


@dataclass(frozen=True)
class RowSplit:
    """How the rows of a step are split: over the processes, and there into ``parts`` that are read one after another.

    Raises:
        UsageError: a part would have no row.
    """

    rows: int
    parts: int
    processes: Processes

    def __post_init__(self) -> None:
        if self.rows < self.processes.count * self.parts:
            raise UsageError(
                f"train: a step's {self.rows} rows cannot be split over {self.processes.count} processes in"
                f" {self.parts} parts each. Set more rows, or a smaller accumulate, in the [train] table."
            )

    def own_parts(self) -> list[slice]:
        """Rows of this process's parts."""
        mine = rows_of(self.processes.rank, self.processes.count, self.rows)
        count = mine.stop - mine.first
        parts = (rows_of(number, self.parts, count) for number in range(self.parts))
        return [slice(mine.first + part.first, mine.first + part.stop) for part in parts]


def backpropagate(
    loss_of: Callable[[TokenBatch], Tensor],
    batch: TokenBatch,
    weights: Iterable[nn.Parameter],
    split: RowSplit,
    clip_norm: float,
) -> StepGradient:
    """Leave in ``weights`` the clipped gradient of the mean loss over all rows of ``batch``.

    ``loss_of`` gives the mean loss of some rows. In memory at once are the activations of one part.
    """
    loss = torch.zeros(())
    for rows in split.own_parts():
        share = split.processes.count * (rows.stop - rows.start) / split.rows
        part = loss_of(TokenBatch(batch.inputs[rows], batch.targets[rows])) * share
        torch.autograd.backward(part)
        loss = loss.to(part.device) + part.detach()
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    split.processes.average([*gradients, loss])
    norm = torch.nn.utils.get_total_norm(gradients)
    torch.nn.utils.clip_grads_with_norm_(list(weights), clip_norm, norm)
    return StepGradient(float(loss), float(norm))

"""Which optimiser moves which weight, and their state as named tensors for a checkpoint.

Matrices that multiply states go to Muon; tables that tokens look up, gains and scales to AdamW. Every weight is in
exactly one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from evaladapt.errors import DataError
from evaladapt.system.processes import ALONE, Processes
from evaladapt.train.muon import Muon
from evaladapt.train.precision import product_type
from evaladapt.train.settings import TrainSettings

TABLE_NAMES = ("embedding", "table")
CONTROL_NAMES = ("gain", "resid_mix")
"""Scales per channel that happen to have two axes."""


@dataclass(frozen=True)
class WeightGroups:
    """The model's weights by treatment, each a mapping of names."""

    matrices: dict[str, nn.Parameter]
    embeddings: dict[str, nn.Parameter]
    scalars: dict[str, nn.Parameter]


def weight_groups(named_parameters: Iterable[tuple[str, nn.Parameter]]) -> WeightGroups:
    """Sort weights by name and shape."""
    groups = WeightGroups({}, {}, {})
    for name, weight in named_parameters:
        own_name = name.rsplit(".", 1)[-1]
        if weight.ndim < 2 or own_name in CONTROL_NAMES:
            groups.scalars[name] = weight
        elif own_name in TABLE_NAMES:
            groups.embeddings[name] = weight
        else:
            groups.matrices[name] = weight
    return groups


class OptimizerSet:
    """Muon and AdamW behind one step."""

    def __init__(self, groups: WeightGroups, settings: TrainSettings, processes: Processes = ALONE) -> None:
        self._names: dict[Tensor, str] = {
            weight: name
            for group in (groups.matrices, groups.embeddings, groups.scalars)
            for name, weight in group.items()
        }
        matrices = self._matrix_optimizer(groups, settings, processes)
        adam = AdamW(
            [
                {
                    "params": list(groups.embeddings.values()),
                    "lr": settings.embedding_lr,
                    "weight_decay": settings.embedding_weight_decay,
                },
                {"params": list(groups.scalars.values()), "lr": settings.scalar_lr, "weight_decay": 0.0},
            ],
            betas=(settings.adam_beta1, settings.adam_beta2),
            fused=True,
        )
        self._optimizers: tuple[Optimizer, ...] = (matrices, adam)
        self._peaks = [group["lr"] for optimizer in self._optimizers for group in optimizer.param_groups]

    def _matrix_optimizer(self, groups: WeightGroups, settings: TrainSettings, processes: Processes) -> Optimizer:
        """What moves the matrices; a comparison may put another one in its place."""
        return Muon(
            groups.matrices.values(),
            settings.matrix_lr,
            settings.matrix_momentum,
            settings.matrix_weight_decay,
            processes,
            product_type(next(iter(self._names)).device, settings.precision),
        )

    def step(self, multiplier: float) -> None:
        """Move all weights with ``multiplier`` times the peak rates, then drop the gradients."""
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        for group, peak in zip(groups, self._peaks, strict=True):
            group["lr"] = peak * multiplier
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_tensors(self) -> dict[str, Tensor]:
        """Momenta and counters as ``"<weight>/<what>"``."""
        return {
            f"{self._names[weight]}/{what}": value
            for optimizer in self._optimizers
            for weight, state in optimizer.state.items()
            for what, value in state.items()
        }

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from :meth:`state_tensors`. Raises :class:`DataError` for a name that is not the model's."""
        weights = {name: weight for weight, name in self._names.items()}
        owners = {w: o for o in self._optimizers for group in o.param_groups for w in group["params"]}
        for key, value in tensors.items():
            name, what = key.rsplit("/", 1)
            if name not in weights:
                raise DataError(f"the checkpoint has optimiser state for {name!r}, which this model does not have.")
            owners[weights[name]].state[weights[name]][what] = value.to(weights[name].device, copy=True)

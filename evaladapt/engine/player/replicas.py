"""State that every process keeps a copy of: were the copies alike when the run ended?

A strategy that trains and forgets ``host.reduce_gradients`` would train every copy on its own rows. The ledger would
then depend on the number of processes, so such a run ends with an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from evaladapt.engine.hooks.callers import Caller
from evaladapt.errors import ContractViolation
from evaladapt.system.processes import Processes

RELATIVE, ABSOLUTE = 1e-3, 1e-5
"""How far copies may drift apart: the same arithmetic on the same numbers, though perhaps on another device."""


def compare_replicas(processes: Processes, weights: Mapping[str, Tensor], strategies: Sequence[Caller]) -> None:
    """Compare live weights and the state of strategies that write them with those of the first process.

    Raises:
        ContractViolation: clause D; raised in every process.
    """
    writers = [one for one in strategies if one.capabilities.writes_weights]
    if processes.count == 1 or not writers:
        return
    kept = {f"the weights {name}": tensor.detach() for name, tensor in weights.items()}
    for one in writers:
        state = one.call("state") if one.implements("state") else {}
        kept |= {f"{name} of {one.alias}": value for name, value in state.items() if isinstance(value, Tensor)}
    different = [name for name, tensor in kept.items() if _differs(processes, tensor)]
    if different:
        names = ", ".join(one.alias for one in writers)
        raise ContractViolation(
            f"the {processes.count} processes ended with different {different[0]}, so the score depends on their"
            f" number. {names} must pass every gradient through host.reduce_gradients before using it (clause D)",
            clause="D",
        )


def _differs(processes: Processes, mine: Tensor) -> bool:
    first = mine.detach().clone()
    processes.from_process(0, first)
    alike = torch.allclose(mine.double(), first.double(), rtol=RELATIVE, atol=ABSOLUTE)
    return processes.largest(float(not alike)) > 0

"""Mixing with the uniform distribution: ``p' = (1 − share) p + share / V``.

The simplest strategy there is: one hook, one option, no state. It imports nothing of evaladapt but the contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.contract import Capabilities, Stage, hookimpl, option


@dataclass(frozen=True, kw_only=True)
class UniformMixOptions:
    """Options of ``uniform-mix``."""

    share: float = option(0.01, "probability given to the uniform distribution", minimum=0, maximum=1)


class UniformMix:
    """Mixes in a little of the uniform distribution, so that no token costs more than log2(V / share) bits."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS)
    Options = UniformMixOptions

    def __init__(self, options: UniformMixOptions) -> None:
        self._share = options.share

    @hookimpl
    def mix(self, logprobs: Tensor) -> Tensor:
        """[B,S,V] to the same."""
        return torch.log((1 - self._share) * logprobs.exp() + self._share / logprobs.shape[-1])

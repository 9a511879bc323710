"""A running correction of every token's probability: how often it came against how often it was to be expected.

Two vectors over the vocabulary are kept, the counts n and the sums p of predicted probabilities, both fading with a
half-life. The odds of token v are multiplied by ``w_v = (n_v + a) / (p_v + a)``, one step of iterative proportional
fitting with pseudo-counts, and renormalised. No extra forward pass: the sums are those of the distributions that the
strategy was handed anyway. It changes between batches only, and only from targets that are in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from evaladapt.contract import Capabilities, RunInfo, Scored, Stage, State, hookimpl, option


@dataclass(frozen=True, kw_only=True)
class BiasOptions:
    """Options of ``bias``."""

    prior: float = option(30.0, "pseudo-count a of every token, on both sides", above=0)
    half_life: float = option(50_000.0, "targets after which a sighting counts half", above=0)


class Bias:
    """Counts and expectations [V] of what was scored."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"expected"}), scope="stream")
    Options = BiasOptions

    def __init__(self, options: BiasOptions) -> None:
        self._options = options

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """Nothing seen, nothing expected."""
        self._seen = torch.zeros(run.model.vocab_size, dtype=torch.float64, device=run.device)
        self._expected = torch.zeros_like(self._seen)

    @hookimpl
    def transform_logits(self, logits: Tensor) -> Tensor:
        """Add ``ln w`` [V] to [B,S,V]."""
        prior = self._options.prior
        correction = torch.log((self._seen + prior) / (self._expected + prior))
        return logits + correction.to(logits)

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Fade by the length of the batch and add it."""
        fading = 0.5 ** (len(scored.targets) / self._options.half_life)
        self._seen = fading * self._seen + torch.bincount(scored.targets, minlength=len(self._seen))
        self._expected = fading * self._expected + cast(Tensor, scored.expected)

    @hookimpl
    def state(self) -> State:
        """Both vectors."""
        return {"seen": self._seen.clone(), "expected": self._expected.clone()}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        self._seen, self._expected = (cast(Tensor, state[name]).to(self._seen) for name in ("seen", "expected"))

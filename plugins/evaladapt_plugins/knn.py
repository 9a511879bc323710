"""A cache of hidden states: what followed the states most like this one is likely to follow it too.

For the last ``entries`` scored targets the hidden state they were predicted from is kept (a continuous cache, Grave et
al. 2017; kNN-LM, Khandelwal et al. 2020). For a target the ``neighbours`` states of largest cosine to its own vote for
the tokens that followed them, with softmax weights; votes are a distribution, and so is its mixture with the model's.

How much it is trusted is learned: a neighbourhood is ranked by its best cosine, and in every of a few ranges the
mixture's share is the posterior mean of a grid (`evaladapt.toolbox.learned_factor`), so that on text that does not
repeat itself it falls to next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from evaladapt.contract import Capabilities, Query, RunInfo, Scored, Stage, State, hookimpl, option
from evaladapt.toolbox.mixing import linear_mix

EDGES = torch.tensor([0.9, 0.95, 0.97, 0.98, 0.99])
"""Bounds of the ranges of the best cosine."""
SHARES = torch.tensor([1e-5, 0.01, 0.03, 0.06, 0.12, 0.25, 0.5, 0.75, 0.9], dtype=torch.float64)
"""What the share of the cache in the mixture may be."""
PRIOR_NATS = 1.0
"""What every further value of the grid costs before anything is known; it begins at next to nothing."""


@dataclass(frozen=True, kw_only=True)
class KnnOptions:
    """Options of ``knn``."""

    entries: int = option(16_384, "hidden states that are remembered, the latest ones", minimum=1)
    neighbours: int = option(32, "states that vote", minimum=1)
    sharpness: float = option(60.0, "what a cosine is multiplied by before the softmax over the neighbours", above=0)
    half_life: float = option(8_192.0, "targets of a range after which the evidence on its share counts half", above=0)


@dataclass(frozen=True)
class Votes:
    """The tokens [n,N] that neighbours vote for, their weights [n,N], and the range [n] of the best cosine."""

    tokens: Tensor
    weights: Tensor
    ranges: Tensor

    def of(self, targets: Tensor) -> Tensor:
        """Probability [n] that the votes give to ``targets`` [n]."""
        return (self.weights * (self.tokens == targets.unsqueeze(1))).sum(1)

    def over(self, vocabulary: int) -> Tensor:
        """As log-distributions [n,V]."""
        votes = self.weights.new_zeros(len(self.tokens), vocabulary).scatter_add_(1, self.tokens, self.weights)
        return votes.clamp_min_(torch.finfo(votes.dtype).tiny).log_()


class Knn:
    """States [m,D] of unit length with the tokens that followed; grows between batches."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, reads=frozenset({"states", "distributions"}), scope="stream")
    Options = KnnOptions

    def __init__(self, options: KnnOptions) -> None:
        self._options = options
        self._states = torch.empty(0, 0)
        self._tokens = torch.empty(0, dtype=torch.int64)
        self._evidence = torch.zeros(len(EDGES) + 1, len(SHARES), dtype=torch.float64)

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """Nothing is remembered."""
        self._states = torch.empty(0, run.model.hidden_size, device=run.device)
        self._tokens = self._tokens.to(run.device)

    @hookimpl
    def mix(self, logprobs: Tensor, query: Query) -> Tensor:
        """The votes of what was scored before the batch, mixed into [B,S,V]."""
        if not len(self._tokens):
            return logprobs
        votes = self._votes(cast(Tensor, query.hidden)[query.valid])
        shares = self._shares()[votes.ranges].to(logprobs).unsqueeze(1)
        mixed = logprobs.clone()
        mixed[query.valid] = linear_mix(logprobs[query.valid], votes.over(logprobs.shape[-1]), shares)
        return mixed

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Learn what the votes were worth, and remember the batch."""
        hidden, targets = cast(Tensor, scored.hidden).float(), scored.targets
        if len(self._tokens):
            self._learn(self._votes(hidden), cast(Tensor, scored.distributions), targets)
        self._states = torch.cat([self._states, normalize(hidden, dim=-1)])[-self._options.entries :].clone()
        self._tokens = torch.cat([self._tokens, targets])[-self._options.entries :].clone()

    @hookimpl
    def state(self) -> State:
        """States, tokens and the evidence on the shares."""
        return {"states": self._states, "tokens": self._tokens, "evidence": self._evidence.clone()}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        device = self._tokens.device
        self._states, self._tokens = (cast(Tensor, state[name]).to(device) for name in ("states", "tokens"))
        self._evidence = cast(Tensor, state["evidence"]).clone()

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """What is remembered, and the share of every range."""
        shares = {f"share {number}": share for number, share in enumerate(self._shares().tolist())}
        return {"states": len(self._tokens), **shares}

    def _votes(self, hidden: Tensor) -> Votes:
        """Of the neighbours of states [n,D]."""
        cosines = normalize(hidden.float(), dim=-1) @ self._states.T
        best = cosines.topk(min(self._options.neighbours, len(self._tokens)), dim=1)
        ranges = torch.bucketize(best.values[:, 0].contiguous(), EDGES.to(best.values))
        return Votes(self._tokens[best.indices], torch.softmax(self._options.sharpness * best.values, 1), ranges)

    def _shares(self) -> Tensor:
        """[R] float64, the share of the cache in force in every range: geometric, as the grid is."""
        prior = -PRIOR_NATS * torch.arange(len(SHARES), dtype=torch.float64)
        return (torch.softmax(prior + self._evidence, 1) @ SHARES.log()).exp()

    def _learn(self, votes: Votes, logprobs: Tensor, targets: Tensor) -> None:
        """Compare the shares on targets [n] that the model gave the log-probabilities of ``logprobs`` [n,V]."""
        model = logprobs.gather(1, targets.unsqueeze(1)).exp().double()
        voted = votes.of(targets).double().unsqueeze(1)
        charges = torch.log((1 - SHARES.to(model)) * model + SHARES.to(model) * voted).cpu()
        counts = torch.bincount(votes.ranges.cpu(), minlength=len(self._evidence)).unsqueeze(1)
        fading = 0.5 ** (counts / self._options.half_life)
        self._evidence = (fading * self._evidence).index_add_(0, votes.ranges.cpu(), charges)

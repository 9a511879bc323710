"""parameter-golf #675: a hidden delta and a logit bias per window, fitted to exactly the targets that are scored.

For every window delta [D] and b [V], started at zero; logits are ``head(h + delta) + b``, and the loss is the mean over
the batch of the scored targets' negative log-likelihood, in nats (``train_gpt.py`` of the pull request, lines 830 to
919). Eight calls of L-BFGS with five iterations each run over all windows' numbers as one vector. Breaks C1 and C3 as
plainly as can be: the answer is the objective. In the original the bias comes before the soft cap; here after it,
because the cap is the head's own. Legal relative: ``slot-hidden``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evaladapt.contract import Capabilities, Host, Past, Query, Stage, hookimpl, option
from evaladapt_replicas.joint_fit import Lbfgs, minimise_jointly


@dataclass(frozen=True, kw_only=True)
class Replica675Options:
    """Options of ``replica-675``; the defaults are the published values."""

    calls: int = option(8, "calls of the optimiser per batch, its history kept between them", minimum=1)
    iterations: int = option(5, "iterations of a call", minimum=1)
    history: int = option(10, "pairs it remembers", minimum=1)
    lr: float = option(0.1, "step that every line search tries first", above=0)


class Replica675:
    """A delta [B,1,D] and a bias [B,1,V], one pair per window."""

    contract_version = 1
    capabilities = Capabilities(
        stage=Stage.LOGITS,
        reads=frozenset({"hidden"}),
        peeks=True,
        breaks=("C1", "C3"),
        legal_relative="slot-hidden",
    )
    Options = Replica675Options
    focus = 0

    def __init__(self, options: Replica675Options) -> None:
        self._options = options

    @hookimpl
    def adapt(self, past: Past, host: Host) -> None:
        """Fit to the score spans."""
        self._host, self._positions, self._hidden = host, past.positions, cast(Tensor, past.hidden)
        rows, _, width = self._hidden.shape
        vocabulary = host.head(self._hidden[:1, :1]).shape[-1]
        self._delta = torch.zeros(rows, 1, width, device=self._hidden.device)
        self._bias = torch.zeros(rows, 1, vocabulary, device=self._hidden.device)

        def loss() -> Tensor:
            return cross_entropy(self._logits().flatten(0, 1), past.targets.flatten())

        options = self._options
        settings = Lbfgs(options.iterations, options.history, options.lr, options.calls)
        minimise_jointly([self._delta, self._bias], loss, settings)

    @hookimpl
    def transform_logits(self, logits: Tensor, query: Query) -> Tensor:
        """What the fit makes of the score spans; other positions, which a later strategy may read, stay."""
        return self._logits() if torch.equal(query.positions, self._positions) else logits

    @hookimpl
    def fitted(self) -> Mapping[str, Tensor]:
        """Deltas and biases, which a decoder would have to be told."""
        return {"delta": self._delta, "bias": self._bias}

    def _logits(self) -> Tensor:
        return self._host.head(self._hidden + self._delta.to(self._hidden.dtype)).float() + self._bias

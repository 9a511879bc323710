"""One exponent on every distribution, ``p^beta`` normalised, learned from what was scored.

Below one it flattens a model that is too sure of itself on this text, above one it sharpens. The log-loss is convex in
beta, with gradient ``E_p[L] - L(x)`` and curvature ``Var_p[L]`` where L are the logs that the strategy was handed. Each
batch brings one Newton step, with the curvature of all targets so far and a quadratic prior. There are two of them: the
text's beta begins at 1 and old evidence fades; a document's begins at the text's, and is the one in force.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from evaladapt.contract import Boundary, Capabilities, Scored, Stage, State, hookimpl, option


@dataclass(frozen=True, kw_only=True)
class TemperatureOptions:
    """Options of ``temperature``."""

    precision: float = option(300.0, "how firmly the text's exponent stays at 1", above=0)
    document: float = option(1_000.0, "how firmly a document's exponent stays at the text's", above=0)
    half_life: float = option(16_384.0, "targets after which the text's evidence counts half", above=0)
    focus: int = option(1_024, "last targets of a batch that are learned from", minimum=1)


@dataclass(frozen=True)
class Exponent:
    """An exponent and the curvature that it rests on, prior included."""

    value: float
    curvature: float

    def after(self, logprobs: Tensor, targets: Tensor) -> Exponent:
        """One Newton step on distributions [n,V] and their targets [n]."""
        probs = torch.softmax(self.value * logprobs, -1)
        mean = (probs * logprobs).sum(-1)
        variance = (probs * (logprobs - mean.unsqueeze(-1)).square()).sum(-1)
        slope = float((logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - mean).double().sum())
        curvature = self.curvature + float(variance.double().sum())
        return Exponent(self.value + slope / curvature, curvature)


class Temperature:
    """The text's exponent and the document's."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"distributions"}), scope="document")
    Options = TemperatureOptions

    def __init__(self, options: TemperatureOptions) -> None:
        self._options = options
        self.focus = options.focus
        self._text = Exponent(1.0, options.precision)
        self._document = Exponent(1.0, options.document)

    @hookimpl
    def reset(self, boundary: Boundary) -> None:
        """A document begins where the text is."""
        self._document = Exponent(self._text.value, self._options.document)

    @hookimpl
    def transform_logits(self, logits: Tensor) -> Tensor:
        """Multiply them."""
        return logits * self._document.value

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Learn from the last targets of the batch."""
        logprobs = cast(Tensor, scored.distributions)
        targets = scored.targets[len(scored.targets) - len(logprobs) :]
        prior = self._options.precision
        faded = prior + (self._text.curvature - prior) * 0.5 ** (len(scored.targets) / self._options.half_life)
        self._text = replace(self._text, curvature=faded).after(logprobs, targets)
        self._document = self._document.after(logprobs, targets)

    @hookimpl
    def state(self) -> State:
        """Both exponents and their curvatures."""
        pairs = [[one.value, one.curvature] for one in (self._text, self._document)]
        return {"exponents": torch.tensor(pairs, dtype=torch.float64)}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        self._text, self._document = (Exponent(*pair) for pair in cast(Tensor, state["exponents"]).tolist())

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """The text's exponent."""
        return {"exponent": self._text.value}

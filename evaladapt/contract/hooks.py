"""The hook specifications: the argument names are the permissions.

A strategy implements the hooks it needs with the arguments it needs, by name. pluggy refuses an implementation that
asks for an argument the specification lacks, so a strategy cannot even ask for the targets it is about to be scored on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pluggy
from torch import Tensor

from evaladapt.contract.host import Host
from evaladapt.contract.rng import Rng
from evaladapt.contract.views import Boundary, ModelInfo, Past, Query, RunInfo, Scored, State, StreamInfo, Window

PROJECT = "evaladapt"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class StrategyHooks:
    """Every hook, in the order the engine calls them.

    Besides hooks a strategy may have an attribute ``focus: int``: how many columns of the past, counted back from the
    score span, it wants. Without it ``adapt`` gets the whole past of the window. And ``horizon: int``: after how many
    targets it learns. A batch then ends with the window that scores the last of them, counted from the start of the
    text or, for a strategy with ``reset``, of the document.
    """

    @hookspec
    def plan(self, stream: StreamInfo, model: ModelInfo) -> Iterable[Window]:
        """Yield the windows of the run, score spans adjacent and ascending. One provider per run. Changes no state."""
        raise NotImplementedError

    @hookspec
    def begin(self, run: RunInfo, host: Host) -> None:
        """The run starts; allocate state. May keep ``run``."""

    @hookspec
    def restore(self, state: State) -> None:
        """Continue from what ``state`` returned at the same place of an interrupted run; called after ``begin``."""

    @hookspec
    def reset(self, boundary: Boundary) -> None:
        """A document begins. Called before any of its targets is scored, for every strategy that implements it."""

    @hookspec
    def adapt(self, past: Past, host: Host, rng: Rng) -> None:
        """Fit state on the visible past, before the targets of the batch (or row) are scored."""

    @hookspec
    def fitted(self) -> Mapping[str, Tensor]:
        """For a strategy that peeks: the tensors that ``adapt`` fitted and the predictions depend on.

        Called after ``adapt`` when the claim is charged for. A decoder would have to be told them, so the engine
        overwrites them, in place, with what can be told.
        """
        raise NotImplementedError

    @hookspec
    def transform_hidden(self, hidden: Tensor, query: Query, rng: Rng) -> Tensor:
        """Return changed hidden states, [B,S,D] to [B,S,D]. Must not change state."""
        raise NotImplementedError

    @hookspec
    def transform_logits(self, logits: Tensor, query: Query, rng: Rng) -> Tensor:
        """Return changed logits, [B,S,V] to [B,S,V]. Must not change state."""
        raise NotImplementedError

    @hookspec
    def mix(self, logprobs: Tensor, query: Query, rng: Rng) -> Tensor:
        """Return changed log-probabilities, [B,S,V] float32 to the same, normalised. Must not change state."""
        raise NotImplementedError

    @hookspec
    def observe(self, scored: Scored, host: Host, rng: Rng) -> None:
        """Learn from targets that are in the ledger. Called once per batch."""

    @hookspec
    def state(self) -> State:
        """Everything the next prediction depends on, flat: tensors, bytes and integers. Changes no state."""
        raise NotImplementedError

    @hookspec
    def end(self, run: RunInfo) -> Mapping[str, float | int | str]:
        """Scalars for the run record. Changes no state."""
        raise NotImplementedError


TRANSFORMS = ("transform_hidden", "transform_logits", "mix")

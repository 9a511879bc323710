"""The views a strategy is handed: everything it may know, and nothing else.

All of them are frozen and hold copies. Indices ``t`` are positions in the stream: ``x_0`` is BOS and target ``t`` is
the token ``x_t``, predicted from its prefix ``x_0 … x_{t-1}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evaladapt.errors import UsageError

Update = Callable[..., Tensor]
"""Of a fold: state and charges [K], and notes [...] where there are notes, to state. Pure."""

HIDDEN_TARGET = -100
"""Stands where a target is not visible; the value `torch.nn.functional.cross_entropy` ignores."""

NO_TOKEN = -1
"""Stands where a context reaches back before everything that the windows of the batch hold."""


@dataclass(frozen=True)
class StreamInfo:
    """What is public about the text before a single token is scored.

    Attributes:
        targets: number of targets, N.
        document_starts: stream index of the BOS of every document, ascending; the first is 0.
        bos_id: the BOS token.
    """

    targets: int
    document_starts: tuple[int, ...]
    bos_id: int


@dataclass(frozen=True)
class ModelInfo:
    """Shapes of the frozen model. ``context`` is the window length (in tokens) it was trained with."""

    vocab_size: int
    hidden_size: int
    context: int
    layers: int


@dataclass(frozen=True)
class Vocabulary:
    """What the tokens stand for.

    Attributes:
        bytes: of the text that every token adds; empty for those that add none.
        special: tokens that are no text, such as BOS.
    """

    bytes: tuple[bytes, ...]
    special: frozenset[int] = frozenset()


@dataclass(frozen=True)
class RunInfo:
    """Settings of the run, the same for every strategy; ``vocabulary`` where declared."""

    stream: StreamInfo
    model: ModelInfo
    batch: int
    seed: int
    mode: str
    device: torch.device
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True, order=True)
class Window:
    """One row: the model reads ``x_start … x_{score_to-2}`` and scores the targets ``[score_from, score_to)``.

    A window that ``continues`` is not read from its start: the model reads on from the window before, with keys, values
    and states of what was read then, by the weights of then. Of the row's first ``sinks`` columns it keeps those of the
    window that was last read from its start.
    """

    start: int
    score_from: int
    score_to: int
    continues: bool = False
    sinks: int = 0

    @property
    def length(self) -> int:
        """Tokens the model reads."""
        return self.score_to - 1 - self.start

    @property
    def past(self) -> int:
        """Targets inside the window that lie before the score span."""
        return self.score_from - 1 - self.start

    @property
    def scored(self) -> int:
        """Targets this window scores."""
        return self.score_to - self.score_from


@dataclass(frozen=True)
class Boundary:
    """A document begins: ``document`` is its number and ``position`` the stream index of its BOS."""

    document: int
    position: int


@dataclass(frozen=True)
class Past:
    """What may be learned from, for every row.

    Columns are right-aligned: the last column is the target directly before the row's score span (for a strategy that
    peeks: the end of the span). For state shared by rows (scope document or stream) there is one row, the batch's
    first, because the pasts of the others reach no further than the frontier.

    Attributes:
        tokens: [B,P] int64, the input token at every column.
        targets: [B,P] int64, the token that followed it; ``HIDDEN_TARGET`` where not visible.
        visible: [B,P] bool, the causality mask, built by the engine.
        positions: [B,P] int64, stream index of every target; ``-1`` in padding.
        in_span: [B,P] bool, True where the target lies in the row's own score span; only ever for one that peeks.
        documents: [B,P] int64, the document of the token before every target; ``-1`` in padding.
        hidden: [B,P,D], as the strategies before this one leave it; where declared.
        logits: [B,P,V] likewise.
    """

    tokens: Tensor
    targets: Tensor
    visible: Tensor
    positions: Tensor
    in_span: Tensor
    documents: Tensor
    hidden: Tensor | None = None
    logits: Tensor | None = None


@dataclass(frozen=True)
class Query:
    """The targets about to be scored, without the targets.

    Attributes:
        positions: [B,S] int64, stream index of every target; ``-1`` in padding.
        documents: [B,S] int64, the document of the token before the target; ``-1`` in padding.
        valid: [B,S] bool, False in padding.
        frontier: the first target of the batch; whatever was observed lies before it.
        trail: log-probabilities [B,S,V] of the frozen model and after each earlier strategy, where declared.
        hidden: [B,S,D], the states that the targets are predicted from, as the strategies before this one leave them;
            for ``transform_logits`` and ``mix``, where states are declared.
    """

    positions: Tensor
    documents: Tensor
    valid: Tensor
    frontier: int
    trail: tuple[Tensor, ...] = ()
    hidden: Tensor | None = None
    _fold: Callable[[int, Update, Tensor, Tensor | None], Tensor] | None = field(default=None, repr=False)
    _folds: list[None] = field(init=False, default_factory=list, repr=False)
    _prefix: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64), repr=False)
    _prefix_start: int = 0

    def fold(self, update: Update, start: Tensor, notes: Tensor | None = None) -> Tensor:
        """State before every target, [B,S,*start.shape]; zero in padding; for a strategy that reads the trail.

        ``start`` is the state at the frontier; the engine updates it with what each target of the batch was charged
        under the entries of the trail, in order: ``update(state, charges [K]) -> state``, pure. A target's own charge
        is used for later targets only, and the numbers are the same in block and step mode. The state after the whole
        batch comes back as ``scored.folded``, one for every fold, in the order of the calls.

        Args:
            update: pure; with ``notes`` it is called as ``update(state, charges, notes of the target)``. Without notes
                it may have an attribute ``over``, which says the same of many targets at once: ``update.over(state,
                charges [n,K])`` are the states after each of them, [n,*state.shape].
            start: any tensor; the same wherever the same batch is asked about.
            notes: [B,S,...], what the strategy knows of every target before it is scored; the engine keeps it until the
                target's charge is known.
        """
        if self._fold is None:
            raise UsageError("only a strategy that declares reads={'trail'} can fold over it")
        number = len(self._folds)
        self._folds.append(None)
        states = self._fold(number, update, start, notes)
        placed = torch.zeros(*self.valid.shape, *start.shape, dtype=states.dtype, device=states.device)
        placed[self.valid] = states
        return placed

    def preceding(self, k: int) -> Tensor:
        """The ``k`` tokens before every target, oldest first: [B,S,k] int64.

        ``NO_TOKEN`` stands where the context would reach before all that the batch's windows hold, and in padding.
        """
        index = self.positions.unsqueeze(-1) - torch.arange(k, 0, -1, device=self.positions.device)
        reachable = (index >= self._prefix_start) & self.valid.unsqueeze(-1)
        found = self._prefix[torch.where(reachable, index - self._prefix_start, 0)]
        return torch.where(reachable, found, NO_TOKEN)

    def since_frontier(self) -> Tensor:
        """The tokens from the frontier up to the query's last target, which is not among them: [n] int64."""
        last = int(self.positions.max())
        first = self.frontier - self._prefix_start
        return self._prefix[first : last - self._prefix_start].clone()


@dataclass(frozen=True)
class Scored:
    """Targets whose scores are in the ledger, in stream order, each handed out exactly once.

    Attributes:
        positions: [n] int64, consecutive.
        tokens: [n] int64, the token before every target.
        targets: [n] int64.
        documents: [n] int64, document of the token before the target.
        logprobs: [n] float64, natural log of the probability that was charged.
        trail: [K,n] float64, what every entry of the query's trail would have been charged, in the same order; where
            declared.
        expected: [V] float64, how often every token was to be expected among the targets: the sum of the distributions
            that this strategy was handed for them; where declared.
        hidden: [m,D], the states that the last m targets were predicted from, as the strategies before this one left
            them; all of the batch, or as many as the strategy's ``focus``; where states are declared.
        distributions: [m,V] float32, the log-probabilities that this strategy was handed for the last m targets,
            likewise; where declared.
        folded: where this strategy's folds over the trail stand after the last target.
    """

    positions: Tensor
    tokens: Tensor
    targets: Tensor
    documents: Tensor
    logprobs: Tensor
    trail: Tensor | None = None
    expected: Tensor | None = None
    hidden: Tensor | None = None
    distributions: Tensor | None = None
    folded: tuple[Tensor, ...] = ()


State = Mapping[str, Tensor | bytes | int]
"""Flat state of a strategy, for digests, snapshots and resume."""

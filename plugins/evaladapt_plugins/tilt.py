"""One hinted token per position, from long exact matches with scored text; its odds are raised and nothing else.

Where the last 8 to 16 tokens have stood in the text before and were followed by the same token often enough, that
token h is the hint and ``p'(a) = p(a) exp(beta [a = h]) / (1 + p(h) (exp(beta) - 1))``: normalised in closed form. The
longest context that is sure enough decides. Thresholds are those of the token expert of parameter-golf #1145 and #1514;
its word experts are left out, because their gate looked at the target.

Matches are exact and verified token by token; the sixteen latest are looked at. Whether there is a hint, which and how
strong follows from the tokens before the target alone, those of the same batch included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.contract import Capabilities, Query, RunInfo, Scored, Stage, State, hookimpl, option
from evaladapt.toolbox import mixing
from evaladapt.toolbox.long_matches import LongMatches, MatchHistory

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Threshold:
    """What a match of ``length`` tokens needs to give a hint: part of the matches that agree, and their number."""

    length: int
    confidence: float
    count: int


THRESHOLDS = (
    Threshold(16, 0.5, 2),
    Threshold(14, 0.5, 2),
    Threshold(12, 0.6, 2),
    Threshold(10, 0.7, 3),
    Threshold(8, 0.7, 3),
)


@dataclass(frozen=True, kw_only=True)
class TiltOptions:
    """Options of ``tilt``."""

    strength: float = option(2.0, "nats added to the hinted token's odds, times its confidence", minimum=0, maximum=10)
    agreement: float = option(0.1, "nats added for every other context length that gives the same hint",
                              minimum=0, maximum=1)  # fmt: skip
    memory: int = option(4_194_304, "tokens remembered, at twelve bytes each; when full, the older half is forgotten",
                         minimum=64)  # fmt: skip


@dataclass(frozen=True)
class Hints:
    """Hinted tokens [N], -1 where there is none, and the nats to add [N]."""

    tokens: Ints
    nats: NDArray[np.float64]


class Tilt:
    """Searches the text scored so far."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")
    Options = TiltOptions

    def __init__(self, options: TiltOptions) -> None:
        self._options = options
        self._history = MatchHistory(THRESHOLDS[-1].length, THRESHOLDS[0].length, capacity=options.memory)

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """The text begins with BOS, which is no target."""
        self._history.add(np.array([run.stream.bos_id]))

    @hookimpl
    def mix(self, logprobs: Tensor, query: Query) -> Tensor:
        """Tilt [B,S,V] where there is a hint."""
        positions = query.positions[query.valid].cpu().numpy()
        matches = self._history.find(query.since_frontier().cpu().numpy(), positions - query.frontier)
        hints = choose_hints(matches, self._options)
        tokens = torch.full_like(query.positions, -1)
        tokens[query.valid] = torch.from_numpy(hints.tokens).to(tokens)
        nats = torch.zeros_like(logprobs[..., 0])
        nats[query.valid] = torch.from_numpy(hints.nats).to(nats)
        return mixing.tilt(logprobs, tokens, nats)

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Remember what was scored."""
        self._history.add(scored.targets.cpu().numpy())

    @hookimpl
    def state(self) -> State:
        """The tokens; links are built from them again."""
        return {"tokens": torch.from_numpy(self._history.tokens)}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        tokens = state["tokens"]
        self._history.clear()
        if isinstance(tokens, Tensor):
            self._history.add(tokens.numpy())


def choose_hints(matches: LongMatches, options: TiltOptions) -> Hints:
    """The hint of the longest context that is sure enough, for each of N targets."""
    chosen = np.full(len(matches.tokens), -1, dtype=np.int64)
    nats = np.zeros(len(matches.tokens))
    agreeing = matches.tokens[:, :, None] == matches.tokens[:, None, :]
    for need in THRESHOLDS:
        long_enough = matches.lengths >= need.length
        counts = np.where(long_enough, (agreeing & long_enough[:, None, :]).sum(axis=2), 0)
        best = counts.argmax(axis=1)[:, None]
        count = np.take_along_axis(counts, best, axis=1)[:, 0]
        token = np.take_along_axis(matches.tokens, best, axis=1)[:, 0]
        confidence = count / np.maximum(long_enough.sum(axis=1), 1)
        sure = (count >= need.count) & (confidence >= need.confidence)
        nats += np.where(sure & (chosen == token), options.agreement, 0.0)
        first = sure & (chosen < 0)
        chosen = np.where(first, token, chosen)
        nats = np.where(first, options.strength * confidence, nats)
    return Hints(chosen, nats)

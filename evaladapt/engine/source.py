"""The text as the engine has it: its shape from the start, its tokens as they are told; and who tells them.

The engine never holds a text that it could read ahead in. Whoever does (a judge, a decoder, a test) is an
:class:`Exchange`: it is told the windows of the next batch and gives their inputs, it is given distributions and gives
the targets with what they cost.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.engine.parts import Part
from evaladapt.engine.windows import Batch

UNKNOWN = -1
"""Token that is not known yet. No embedding has it, so a model that reads it too early fails."""


@dataclass(frozen=True)
class TextShape:
    """What is public about a text before a single token is scored.

    Attributes:
        name: what to call it in messages.
        targets: N.
        bos_id: ``x_0``.
        document_starts: stream index of the BOS of every document, the first of which is 0; None where nobody knows
            a boundary before its BOS is scored.
    """

    name: str
    targets: int
    bos_id: int
    document_starts: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Beginning:
    """Where a run begins: ``batches`` are done, with these tokens ``x_1 …`` and this state; nothing for a new run."""

    batches: int = 0
    tokens: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    state: bytes = b""


@dataclass(frozen=True)
class Settled:
    """Targets that are scored: int32 [n], with their log-probabilities as charged, float64 [n].

    ``snapshot`` asks for the state at the end of this batch.
    """

    targets: NDArray[np.int32]
    charges: NDArray[np.float64]
    snapshot: bool = False


class Exchange(Protocol):
    """The engine's only way to a text."""

    @property
    def shape(self) -> TextShape:
        """What is known from the start."""

    @property
    def wants_trail(self) -> bool:
        """Whether it wants the distributions after every strategy too."""

    def begin(self) -> Beginning:
        """Where to begin."""

    def open(self, batch: Batch) -> NDArray[np.int32]:
        """Tell the windows of the next batch; get the tokens from its frontier on that its rows read."""

    def parts(self, batch: Batch) -> Iterator[Part]:
        """In what parts to predict the batch."""

    def known(self, batch: Batch) -> Settled | None:
        """What is known of a batch without predicting it; only a twin is told any, of batches before its target's."""

    def settle(self, first: int, logprobs: Tensor, trail: Sequence[Tensor]) -> Settled:
        """Give the distributions [n,V] of targets ``first …``, fixed; get those targets.

        ``trail`` has those after every strategy, the frozen model's first, where they are wanted.
        """

    def keep(self, state: bytes) -> None:
        """Give the state at the end of a batch, because it was asked for."""


class Text:
    """Tokens ``x_0 … x_N`` as far as they are known, with the document of each."""

    def __init__(self, shape: TextShape) -> None:
        self.shape = shape
        self.tokens: NDArray[np.int32] = np.full(shape.targets + 1, UNKNOWN, dtype=np.int32)
        self.tokens[0] = shape.bos_id
        self.documents: NDArray[np.int32] = np.zeros(shape.targets + 1, dtype=np.int32)
        self.starts: list[int] = list(shape.document_starts or (0,))
        self.known = 1
        self.documents[self.starts[1:]] = 1
        np.cumsum(self.documents, out=self.documents)

    def learn(self, first: int, tokens: NDArray[np.int32]) -> None:
        """Take in tokens ``x_first …``; some may be known already."""
        self.tokens[first : first + len(tokens)] = tokens
        new = range(self.known, first + len(tokens))
        self.known = max(self.known, new.stop)
        if self.shape.document_starts is None and len(new):
            opened = self.tokens[new.start : new.stop] == self.shape.bos_id
            self.documents[new.start : new.stop] = self.documents[new.start - 1] + np.cumsum(opened)
            self.starts += (np.flatnonzero(opened) + new.start).tolist()

    def start_of(self, position: int) -> int:
        """Stream index of the BOS of the document that the token at ``position`` belongs to."""
        return self.starts[bisect_right(self.starts, position) - 1]


class SideChannel(Protocol):
    """What a decoder would have to be told beside the text, because a strategy was shown targets."""

    def tell(self, strategy: str, fitted: Mapping[str, Tensor]) -> None:
        """Overwrite the tensors, in place, with what a decoder would read."""

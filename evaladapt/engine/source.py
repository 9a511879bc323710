"""Where the tokens of a run come from, who settles a target once its distribution is fixed, and what is told aside.

A score reads a whole stream (:class:`~evaladapt.data.stream.TokenStream` is a source). A decoder starts with the shape
of the text alone, and its coder makes target after target known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.contract.views import State

UNKNOWN = -1
"""Token that is not known yet. No embedding has it, so a model that reads it too early fails."""


class TokenSource(Protocol):
    """Tokens ``x_0 … x_N`` of which ``x_0`` at least is known, and what is public about all of them."""

    @property
    def name(self) -> str:
        """What to call the text in messages."""

    @property
    def tokens(self) -> NDArray[np.int32]:
        """[N+1]; ``UNKNOWN`` where not known yet. The same array for the whole run."""

    @property
    def documents(self) -> NDArray[np.int32]:
        """[N+1], document of every token."""

    @property
    def targets(self) -> int:
        """N."""


class TargetCoder(Protocol):
    """Writes every target under its distribution, or finds it out from what was written."""

    def settle(self, first: int, logprobs: Tensor) -> None:
        """Called once for targets ``first …`` in order, with their distributions [n,V]; then they are in the source."""

    def state(self) -> State:
        """All it needs to continue after an interruption."""

    def restore(self, state: State) -> None:
        """Continue from what :meth:`state` returned."""


class SideChannel(Protocol):
    """What a decoder would have to be told beside the text, because a strategy was shown targets."""

    def tell(self, strategy: str, fitted: Mapping[str, Tensor]) -> None:
        """Overwrite the tensors, in place, with what a decoder would read."""

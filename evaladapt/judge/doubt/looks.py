"""Which targets twins are asked for, and what it proves when none of them differs.

Half of the looks are drawn evenly over the targets, half in proportion to the bits that the composition saved against
the base. Everything is drawn after the player has answered. With a probability of at least ``density`` for every target
(or for every bit saved) to be looked at, whoever cheats at a share s of them escapes with probability at most
``exp(-density · s · total)``; at 95 % that leaves shares below ``-ln 0.05 / (density · total)``, which for m even
looks is the familiar ``1 - 0.05^(1/m)``.

A twin is asked in two shapes at the first target where one does not agree, and in the second alone from there on. Who
answers as it likes, now as the one and now as the other, escapes once with either: with ``x = density · s · total``,
with probability ``exp(-x) · (1 + x)``, which is 5 % at ``x = 4.744``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
FEWEST, USUAL = 20, 118
SHARE_OF_TIME = 0.1
"""Of both passes."""
IN_TWO_SHAPES = 4.744
"""Root of ``exp(-x) · (1 + x) = 1 - CONFIDENCE``."""
EXPECTED_GAIN = 0.05
"""Of the base's bits: what a composition is first assumed to save, when looks by gain are spread."""


class Draw(Protocol):
    """Random numbers; tests have their own."""

    def random(self, size: int) -> NDArray[np.float64]:
        """Numbers in [0, 1)."""


@dataclass(frozen=True)
class Bounds:
    """What looks prove.

    Attributes:
        looks: how many targets were looked at.
        targets: with 95 % confidence less than this share of targets was predicted with the help of what it must not
            know; 1 where nothing follows. Targets before an interruption count as if all of them were.
        gain: the same as a share of the bits saved; None where there is no base, nothing was saved, or it is not known
            of all targets.
    """

    looks: int
    targets: float
    gain: float | None


@dataclass
class Looks:
    """Draws targets group by group.

    Attributes:
        targets: N, of the whole text.
        base_nats: [N+1], what every target costs under the base; None where that is not known.
        every_batch: look at least once in every group.
        by_shape: twins are asked in the shape of the batch alone, since the other one did not agree with what was said.
        wanted: looks in all that are aimed at; fewer once it shows what one costs.
    """

    targets: int
    base_nats: NDArray[np.float64] | None
    draw: Draw
    every_batch: bool = False
    by_shape: bool = False
    wanted: int = USUAL
    looked: int = 0
    _first: int = 0
    _seen: int = 0
    _saved: float = 0.0
    _least_even: float = math.inf
    _least_by_gain: float = math.inf

    def afford(self, looks: int) -> None:
        """Aim at so many looks in all, as far as that is between the fewest and the usual."""
        self.wanted = min(max(FEWEST, looks), USUAL)

    def first_of(self, first: int, free: NDArray[np.bool_]) -> list[int]:
        """One target of the first group, evenly: it shows what a look costs."""
        candidates = np.flatnonzero(~free)
        if not len(candidates):
            return []
        self.looked += 1
        self._first = first + int(candidates[int(self.draw.random(1)[0] * len(candidates))])
        return [self._first]

    def of_group(self, first: int, charges: NDArray[np.float64], free: NDArray[np.bool_]) -> list[int]:
        """Draw targets of a group that starts at ``first`` and was charged so (natural logs [n]).

        ``free`` [n] marks targets that cost nothing because everybody was told them.
        """
        count = len(charges)
        candidates = np.flatnonzero(~free)
        candidates = candidates[candidates != self._first - first]  # looked at already
        even = self._even_density()
        chance = np.full(count, even)
        saved = self._saved_nats(first, charges)
        by_gain = self._gain_density() if saved is not None else 0.0
        if saved is not None:
            chance = 1 - (1 - chance) * np.exp(-by_gain * saved)
            self._least_by_gain = min(self._least_by_gain, by_gain) if saved.sum() > 0 else self._least_by_gain
            self._saved += float(saved.sum())
        self._least_even = min(self._least_even, even)
        self._seen += count
        drawn = [int(one) for one in candidates[self.draw.random(len(candidates)) < chance[candidates]]]
        drawn = self._enough(drawn, candidates, chance)
        self.looked += len(drawn)
        return [first + one for one in drawn]

    def bounds(self) -> Bounds:
        """What follows when none differed."""
        if not self.looked:
            return Bounds(0, 1.0, None)
        ratio = IN_TWO_SHAPES if self.by_shape else -math.log(1 - CONFIDENCE)
        seen = min(1.0, self._seen / self.targets)
        targets = 1 - seen + seen * _share(ratio, self._least_even * self._seen)
        gain = _share(ratio, self._least_by_gain * self._saved) if self._saved > 0 and seen == 1.0 else None
        return Bounds(self.looked, targets, gain)

    def _even_density(self) -> float:
        """Chance of a target: half of the looks over all targets; with few targets, or asked to, more."""
        return min(1.0, 0.5 * self.wanted / self.targets)

    def _gain_density(self) -> float:
        """Chance per nat saved: the other half over what the whole text may save, by what it saved so far."""
        base = float(self.base_nats.sum()) if self.base_nats is not None else 0.0
        so_far = self._saved * self.targets / max(self._seen, 1)
        return 0.5 * self.wanted / max(EXPECTED_GAIN * base, so_far, 1e-9)

    def _saved_nats(self, first: int, charges: NDArray[np.float64]) -> NDArray[np.float64] | None:
        if self.base_nats is None:
            return None
        return np.maximum(0.0, charges + self.base_nats[first : first + len(charges)])

    def _enough(self, drawn: list[int], candidates: NDArray[np.int64], chance: NDArray[np.float64]) -> list[int]:
        """Never fewer than the fewest by the end, nor, where asked, none in a batch: then one more is drawn evenly."""
        due = FEWEST * self._seen / self.targets if self.targets > FEWEST else self._seen
        missing = math.floor(due + 1e-9) - self.looked - len(drawn)
        if self.every_batch:
            missing = max(missing, 1 - len(drawn))
        left = [int(one) for one in candidates if one not in drawn]
        if missing > 0 and left:
            order = np.argsort(self.draw.random(len(left)))
            drawn = drawn + [left[one] for one in order[:missing]]
        return sorted(drawn)


def _share(ratio: float, expected: float) -> float:
    """``1 - 0.05^(1/m)`` for ``expected`` = m looks."""
    return 1 - math.exp(-ratio / expected) if expected > 0 else 1.0

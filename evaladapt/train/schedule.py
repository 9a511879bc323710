"""How long a training lasts, and the learning rate at each moment of it.

The trainer asks once per step. With a budget in minutes the clock drives the warm-down, so a slow machine still ends
with the rates at zero; with a budget in steps nothing depends on the clock and a training repeats bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaladapt.errors import UsageError


@dataclass(frozen=True)
class Budget:
    """Exactly one of ``minutes`` (wall clock since the first start, pauses excluded) and ``steps``."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise UsageError("train: give either --minutes or --steps.")
        if not (self.minutes or self.steps or 0) > 0:
            raise UsageError("train: the budget must be positive.")

    def progress(self, step: int, elapsed_seconds: float) -> float:
        """Share of the budget used before ``step`` (counted from 0); 1 or more means that it is spent."""
        if self.steps is not None:
            return step / self.steps
        return elapsed_seconds / (60 * self.minutes) if self.minutes else 1.0


def rate_multiplier(step: int, progress: float, warmup_steps: int, warmdown_fraction: float) -> float:
    """What every peak learning rate is multiplied by: a linear rise by steps, then a linear fall by progress."""
    rise = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    fall = min(1.0, (1.0 - progress) / warmdown_fraction) if warmdown_fraction else 1.0
    return max(0.0, min(rise, fall))

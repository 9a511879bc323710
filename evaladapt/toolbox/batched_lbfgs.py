"""L-BFGS for many small problems at once: one history and one strong-Wolfe line search per row.

A strategy that fits one vector per window has B separate problems. Joining them into one flat vector (as
``torch.optim.LBFGS`` must) couples the windows through a common step length; a Python loop over windows wastes the
machine. Here every row follows its own trajectory, and all rows share the evaluations of the objective: a row that has
finished keeps its point and its further evaluations are thrown away.

Method: Nocedal and Wright, *Numerical Optimization*, algorithms 3.5, 3.6 and 7.4, with the step-acceptance details
of ``torch.optim.LBFGS(line_search_fn="strong_wolfe")``, which the tests hold each row against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.errors import UsageError

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Takes x [B, n]; returns the values [B] and the gradients [B, n], row by row."""

_CURVATURE_FLOOR = 1e-10
_STEP_GROWTH = 10.0
_NOISE_ULPS = 4.0


@dataclass(frozen=True)
class LbfgsOptions:
    """Limits of the search; the defaults are those of the field's per-window fits."""

    iterations: int = 25
    history: int = 20
    tolerance_grad: float = 1e-7
    tolerance_change: float = 1e-9
    c1: float = 1e-4
    c2: float = 0.9
    max_evaluations_per_step: int = 25

    def __post_init__(self) -> None:
        if self.iterations < 0 or self.history < 1 or self.max_evaluations_per_step < 1:
            raise UsageError("L-BFGS needs iterations >= 0, history >= 1 and max_evaluations_per_step >= 1.")
        if not 0.0 < self.c1 < self.c2 < 1.0:
            raise UsageError(f"the Wolfe constants must satisfy 0 < c1 < c2 < 1, got c1={self.c1}, c2={self.c2}.")


@dataclass(frozen=True)
class LbfgsResult:
    """Where the rows ended.

    ``x`` [B, n]; ``value`` [B]; ``grad_norm`` [B], the largest absolute component of the gradient; ``iterations`` [B]
    (int64); ``evaluations``, how often the objective was called for the whole batch.
    """

    x: Tensor
    value: Tensor
    grad_norm: Tensor
    iterations: Tensor
    evaluations: int


def minimise(value_and_grad: Objective, start: Tensor, options: LbfgsOptions | None = None) -> LbfgsResult:
    """Minimise B independent problems from ``start`` [B, n].

    The objective must treat rows independently; then a row's result does not depend on the other rows. Values may have
    a wider dtype than ``start``; the line search then works in it. A row whose first value is not finite stays put.
    """
    options = options or LbfgsOptions()
    if start.ndim != 2:
        raise UsageError(f"the start must have shape [rows, unknowns], got {tuple(start.shape)}.")
    x = start.clone()
    value, grad = value_and_grad(x)
    evaluations = 1
    iterations = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    memory = _Memory.empty(grad, options.history)
    active = value.isfinite() & (_largest(grad) > options.tolerance_grad)
    for iteration in range(options.iterations):
        direction = memory.direction(grad) if iteration else -grad
        slope = _dot(grad, direction).to(value.dtype)
        active = active & (slope <= -options.tolerance_change)
        if not bool(active.any()):
            break
        first_step = torch.ones_like(value)
        if iteration == 0:
            first_step = torch.minimum(first_step, 1.0 / grad.abs().sum(-1).to(value.dtype))
        search = _LineSearch(value_and_grad, x, direction, _Point(torch.zeros_like(value), value, slope, grad), options)
        accepted = search.run(first_step, active)
        evaluations += search.evaluations
        move = accepted.step.to(x.dtype)[:, None] * direction
        move = torch.where(active[:, None], move, torch.zeros_like(move))
        memory.push(move, accepted.grad - grad, active)
        iterations += active
        settled = (
            (_largest(accepted.grad) <= options.tolerance_grad)
            | (_largest(move) <= options.tolerance_change)
            | ((accepted.value - value).abs() < options.tolerance_change)
        )
        x = x + move
        value = torch.where(active, accepted.value, value)
        grad = torch.where(active[:, None], accepted.grad, grad)
        active = active & ~settled
    return LbfgsResult(x, value, _largest(grad), iterations, evaluations)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def _largest(vectors: Tensor) -> Tensor:
    return vectors.abs().amax(-1)


@dataclass
class _Memory:
    """The last ``len(moves)`` steps of every row: moves and gradient changes [m, B, n], and 1 / (y.s) [m, B].

    A pair without positive curvature is stored with weight 0, which leaves it out of the recursion.
    """

    moves: Tensor
    changes: Tensor
    weights: Tensor
    scale: Tensor
    stored: int = 0

    @classmethod
    def empty(cls, like: Tensor, history: int) -> _Memory:
        pairs = like.new_zeros((history, *like.shape))
        return cls(pairs, pairs.clone(), like.new_zeros((history, len(like))), like.new_ones(len(like)))

    def push(self, move: Tensor, change: Tensor, active: Tensor) -> None:
        curvature = _dot(move, change)
        usable = active & (curvature > _CURVATURE_FLOOR)
        slot = self.stored % len(self.moves)
        self.moves[slot] = torch.where(usable[:, None], move, torch.zeros_like(move))
        self.changes[slot] = torch.where(usable[:, None], change, torch.zeros_like(change))
        safe = torch.where(usable, curvature, torch.ones_like(curvature))
        self.weights[slot] = torch.where(usable, 1.0 / safe, torch.zeros_like(curvature))
        squared = torch.where(usable, _dot(change, change), torch.ones_like(curvature))
        self.scale = torch.where(usable, safe / squared, self.scale)
        self.stored += 1

    def direction(self, grad: Tensor) -> Tensor:
        """Minus the approximate inverse Hessian times the gradient (two-loop recursion)."""
        history = len(self.moves)
        slots = [index % history for index in range(max(0, self.stored - history), self.stored)]
        descent = -grad
        along: dict[int, Tensor] = {}
        for slot in reversed(slots):
            along[slot] = self.weights[slot] * _dot(self.moves[slot], descent)
            descent = descent - along[slot][:, None] * self.changes[slot]
        descent = descent * self.scale[:, None]
        for slot in slots:
            back = self.weights[slot] * _dot(self.changes[slot], descent)
            descent = descent + (along[slot] - back)[:, None] * self.moves[slot]
        return descent


@dataclass(frozen=True)
class _Point:
    """A trial of every row's line search: step, value and slope [B], gradient [B, n]."""

    step: Tensor
    value: Tensor
    slope: Tensor
    grad: Tensor


def _choose(mask: Tensor, yes: _Point, no: _Point) -> _Point:
    return _Point(
        torch.where(mask, yes.step, no.step),
        torch.where(mask, yes.value, no.value),
        torch.where(mask, yes.slope, no.slope),
        torch.where(mask[:, None], yes.grad, no.grad),
    )


class _LineSearch:
    """One strong-Wolfe search per row along ``direction``.

    A row first brackets an acceptable step (``bracketing``), then narrows the bracket ``[low, high]`` (``zooming``);
    ``low`` is always its best end. Rows in both phases share each evaluation.
    """

    def __init__(
        self, objective: Objective, x: Tensor, direction: Tensor, origin: _Point, options: LbfgsOptions
    ) -> None:
        self.objective, self.x, self.direction, self.origin, self.options = objective, x, direction, origin, options
        self.evaluations = 0
        self.reach = _largest(direction).to(origin.value.dtype)
        # Differences of values below the rounding of the objective carry no information: there the slope decides.
        self.noise = _NOISE_ULPS * torch.finfo(x.dtype).eps * origin.value.abs()
        self.low = self.high = self.previous = origin
        self.stalled = torch.zeros_like(origin.value, dtype=torch.bool)

    def run(self, first_step: Tensor, active: Tensor) -> _Point:
        """The accepted point of every active row; the origin for the others and where no lower point was found."""
        self.bracketing, self.zooming = active, torch.zeros_like(active)
        step = first_step
        for _ in range(self.options.max_evaluations_per_step):
            searching = self.bracketing | self.zooming
            if not bool(searching.any()):
                break
            trial = self._evaluate(torch.where(searching, step, torch.zeros_like(step)))
            zooming = self.zooming
            expanded = self._bracket(trial)
            self._zoom(trial, zooming)
            step = torch.where(self.bracketing, expanded, self._zoom_step())
        unfinished = self.bracketing & (self.previous.value <= self.origin.value)
        return _choose(unfinished, self.previous, self.low)

    def _evaluate(self, step: Tensor) -> _Point:
        value, grad = self.objective(self.x + step.to(self.x.dtype)[:, None] * self.direction)
        self.evaluations += 1
        value = torch.where(value.isfinite(), value, torch.full_like(value, torch.inf))
        return _Point(step, value, _dot(grad, self.direction).to(value.dtype), grad)

    def _too_high(self, trial: _Point) -> Tensor:
        limit = self.origin.value + self.options.c1 * trial.step * self.origin.slope
        return trial.value > limit + self.noise

    def _flat_enough(self, trial: _Point) -> Tensor:
        return trial.slope.abs() <= -self.options.c2 * self.origin.slope

    def _bracket(self, trial: _Point) -> Tensor:
        """Take the trial into the rows that still look for a bracket; returns their next, longer step."""
        overshot = self._too_high(trial)
        if self.evaluations > 2:
            overshot = overshot | (trial.value >= self.previous.value + self.noise)
        done = self.bracketing & ~overshot & self._flat_enough(trial)
        found = self.bracketing & ~done & (overshot | (trial.slope >= 0))
        trial_is_lower = trial.value < self.previous.value
        self.low = _choose(done | (found & trial_is_lower), trial, _choose(found, self.previous, self.low))
        self.high = _choose(found, _choose(trial_is_lower, self.previous, trial), self.high)
        self.zooming = self.zooming | found
        self.bracketing = self.bracketing & ~done & ~found
        shortest = trial.step + 0.01 * (trial.step - self.previous.step)
        longer = _cubic_minimum(self.previous, trial, shortest, _STEP_GROWTH * trial.step)
        self.previous = _choose(self.bracketing, trial, self.previous)
        return longer

    def _zoom(self, trial: _Point, rows: Tensor) -> None:
        """Narrow the bracket of ``rows`` with the trial, and retire those that are done."""
        worse = rows & (self._too_high(trial) | (trial.value >= self.low.value + self.noise))
        better = rows & ~worse
        done = better & self._flat_enough(trial)
        uphill = trial.slope * (self.high.step - self.low.step) >= 0
        high = _choose(worse, trial, _choose(better & ~done & uphill, self.low, self.high))
        low = _choose(better, trial, self.low)
        swap = worse & (high.value < low.value)
        self.low, self.high = _choose(swap, high, low), _choose(swap, low, high)
        width = (self.high.step - self.low.step).abs() * self.reach
        self.zooming = self.zooming & ~done & (width >= self.options.tolerance_change)

    def _zoom_step(self) -> Tensor:
        """The next trial inside the bracket, kept a tenth of its width away from an end that attracts it twice."""
        left = torch.minimum(self.low.step, self.high.step)
        right = torch.maximum(self.low.step, self.high.step)
        step = _cubic_minimum(self.low, self.high, left, right)
        margin = 0.1 * (right - left)
        near_end = torch.minimum(right - step, step - left) < margin
        push = near_end & (self.stalled | (step >= right) | (step <= left))
        inside = torch.where((step - right).abs() < (step - left).abs(), right - margin, left + margin)
        self.stalled = torch.where(self.zooming, near_end & ~push, self.stalled)
        return torch.where(push, inside, step)


def _cubic_minimum(a: _Point, b: _Point, lowest: Tensor, highest: Tensor) -> Tensor:
    """Minimum of the cubic through two values and slopes, clamped; the middle of the bounds where there is none."""
    swap = a.step > b.step
    x1, x2 = torch.where(swap, b.step, a.step), torch.where(swap, a.step, b.step)
    f1, f2 = torch.where(swap, b.value, a.value), torch.where(swap, a.value, b.value)
    g1, g2 = torch.where(swap, b.slope, a.slope), torch.where(swap, a.slope, b.slope)
    d1 = g1 + g2 - 3.0 * (f1 - f2) / (x1 - x2)
    squared = d1 * d1 - g1 * g2
    d2 = squared.clamp_min(0.0).sqrt()
    minimum = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2.0 * d2))
    usable = (squared >= 0) & minimum.isfinite()
    clamped = torch.minimum(torch.maximum(minimum, lowest), highest)
    return torch.where(usable, clamped, (lowest + highest) / 2.0)

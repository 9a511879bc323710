"""The fit of ``slot-lbfgs``: its default solver against the field's loop of one ``torch.optim.LBFGS`` per window.

Both minimise the same objective on the same windows (32 windows of 128 tokens, 1,024 pieces), in turn, and the distance
from the optimum is measured against the default solver run to a far smaller tolerance.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from evaladapt.bench.newton import fit_newton
from evaladapt.bench.plain import fit_one_logit_bias
from evaladapt.bench.report import BenchReport, BenchSettings, Figure
from evaladapt.judge.records.record import environment
from evaladapt.toolbox.bias_prior import GammaPrior, Prior
from evaladapt.toolbox.logit_bias import LogitBiasFit, fit, fit_lbfgs, fit_mm

STRENGTH = 1.5
ROWS, TOKENS, VOCABULARY = 32, 128, 1024


@dataclass(frozen=True)
class ExampleWindows:
    """``logits`` float32 [B, T, V] and ``targets`` int64 [B, T]."""

    logits: Tensor
    targets: Tensor


def example_windows(rows: int = 32, tokens: int = 128, vocabulary: int = 1024, seed: int = 0) -> ExampleWindows:
    """Windows with a Zipf-like vocabulary, peaked predictions and a unigram that differs from row to row."""
    rng = torch.Generator().manual_seed(seed)
    unigram = -torch.log(torch.arange(1, vocabulary + 1, dtype=torch.float32))
    logits = unigram + 2.0 * torch.randn(rows, tokens, vocabulary, generator=rng)
    shifted = logits + torch.randn(rows, 1, vocabulary, generator=rng)
    noise = torch.rand(rows, tokens, vocabulary, generator=rng).clamp_min_(1e-20)
    targets = (shifted - torch.log(-torch.log(noise))).argmax(-1)
    return ExampleWindows(logits, targets)


def one_after_the_other(logits: Tensor, targets: Tensor, prior: Prior, iterations: int = 25) -> Tensor:
    """Delta [B, V] by one ``torch.optim.LBFGS`` a row."""
    rows = zip(logits, targets, strict=True)
    return torch.stack([fit_one_logit_bias(one, answers, prior, iterations=iterations) for one, answers in rows])


def run(settings: BenchSettings) -> BenchReport:
    """Time the solvers in turn; medians over ``settings.repeats``."""
    windows, prior = example_windows(ROWS, TOKENS, VOCABULARY), GammaPrior(STRENGTH)
    exact = fit(windows.logits, windows.targets, prior, solver=partial(fit_mm, tolerance=1e-7, iterations=5000)).value
    loop = _seconds(lambda: one_after_the_other(windows.logits, windows.targets, prior), settings.repeats)
    figures = [Figure("torch.optim.LBFGS, one window after the other", loop, "s")]
    for name, solver in (("mm (the default)", fit_mm), ("newton", fit_newton), ("lbfgs", fit_lbfgs)):
        promised = name.startswith("mm")
        solve = partial(fit, windows.logits, windows.targets, prior, solver=solver)
        share = _seconds(solve, settings.repeats) / loop
        figures.append(Figure(f"{name}: time over that loop", share, "times", 1 / 20 if promised else None))
        above = _above_optimum(solve(), exact, windows)
        figures.append(Figure(f"{name}: above the optimum, worst window", above, "nats per token", 1e-4))
    return BenchReport("solver", tuple(figures), environment("cpu"))


def _above_optimum(reached: LogitBiasFit, exact: Tensor, windows: ExampleWindows) -> float:
    return float((reached.value - exact).max()) / windows.targets.shape[1]


def _seconds(action: Callable[[], object], repeats: int) -> float:
    """Median over repeats, after one run that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)

"""How long an artifact takes to load: the one that ships, and one of 16 MB made up for the purpose.

The large one has the matrices of an 11-layer model of width 512 (27 million numbers), normally distributed with columns
that differ in loudness, which is what the coder sees in trained weights too.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from evaladapt.artifact import QuantisationPlan, find_artifact, read_artifact, write_artifact
from evaladapt.artifact.coding.coders import BELLS
from evaladapt.bench.report import BenchReport, BenchSettings, Figure
from evaladapt.judge.records.record import environment

LAYERS, WIDTH, HIDDEN, VOCABULARY = 11, 512, 1536, 1024
SHIPPED_SECONDS, LARGE_SECONDS = 0.5, 5.0


def run(settings: BenchSettings) -> BenchReport:
    """Medians over ``settings.repeats``, after one load that is not counted."""
    shipped = find_artifact(settings.artifact)
    figures = [Figure(f"{shipped.name}: loading", _seconds(shipped, settings.repeats), "s", SHIPPED_SECONDS)]
    with tempfile.TemporaryDirectory(prefix="evaladapt-bench-") as folder:
        path = Path(folder) / "large.eva"
        plan = QuantisationPlan(matrix_bits=7, embedding_bits=7, coders=(BELLS,))
        size = write_artifact(path, {"vocab_size": VOCABULARY}, dict(_weights()), b"none", {}, plan).bytes
        figures += [
            Figure("large artifact: size", size / 1e6, "MB"),
            Figure("large artifact: loading", _seconds(path, settings.repeats), "s", LARGE_SECONDS),
        ]
    return BenchReport("artifact", tuple(figures), environment("cpu"))


def _weights() -> Iterator[tuple[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"query": (WIDTH, WIDTH), "out": (WIDTH, WIDTH), "key": (WIDTH // 2, WIDTH), "value": (WIDTH // 2, WIDTH),
              "up": (HIDDEN, WIDTH), "down": (WIDTH, HIDDEN)}  # fmt: skip
    yield "embedding", torch.randn(VOCABULARY, WIDTH, generator=generator)
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            loudness = torch.exp(0.2 * torch.randn(shape[1], generator=generator))
            yield f"blocks.{layer}.{name}", torch.randn(shape, generator=generator) * loudness


def _seconds(path: Path, repeats: int) -> float:
    read_artifact(path)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        read_artifact(path)
        times.append(time.perf_counter() - started)
    return statistics.median(times)

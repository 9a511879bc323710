"""How time and memory grow: with the length of the text, the vocabulary and the model. ``evaladapt bench scaling``.

Every run is a process of its own, so that its peak of memory is its own, on one thread. A run that would take longer
than it may, judged by the one before it on its axis, is left out and said to be.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evaladapt.bench.scaled import Case, Cost
from evaladapt.errors import EvaladaptError
from evaladapt.judge.records.record import environment

BYTES_PER_TOKEN = 2.5
"""Of English by a vocabulary of 2,048: what turns megabytes of text into targets."""
TARGETS = 1024
SHAPES = ((4, 128, 2048), (4, 256, 2048), (8, 512, 2048), (24, 640, 32_000))
"""Layers, width and vocabulary of 1, 3, 24 and 129 million parameters."""


@dataclass(frozen=True)
class Point:
    """A run to make: where it lies on its axis."""

    axis: str
    value: float
    case: Case


@dataclass(frozen=True)
class Row:
    """A run that was made, or left out: then it has no cost."""

    point: Point
    cost: Cost | None

    @property
    def line(self) -> str:
        """A row of the table."""
        point = self.point
        head = f"{point.axis:11} {point.value:>12,.6g} {point.case.line:12} {point.case.targets:>10,}"
        if self.cost is None:
            return f"{head}   left out: it would take too long"
        speed = point.case.targets / self.cost.seconds
        return f"{head} {self.cost.seconds:>9.2f} s {speed:>9,.0f} /s {self.cost.megabytes:>8,.0f} MB"


@dataclass(frozen=True)
class ScalingReport:
    """All rows, with the machine they were measured on."""

    rows: tuple[Row, ...]
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        rows = [{**asdict(one.point.case), "axis": one.point.axis, "value": one.point.value,
                 "cost": None if one.cost is None else asdict(one.cost)} for one in self.rows]  # fmt: skip
        return {"bench": "scaling", "rows": rows, "environment": self.environment}

    def to_text(self) -> str:
        """As a table."""
        head = (
            f"{'axis':11} {'value':>12} {'strategies':12} {'targets':>10} {'processor':>11} {'speed':>12} {'peak':>11}"
        )
        return "\n".join([head, *(one.line for one in self.rows)])


def _length() -> Iterator[Point]:
    """Megabytes of text."""
    for line in ("stream", "sliding"):
        for megabytes in (0.1, 1.0, 10.0):
            yield Point("length", megabytes, Case(line=line, targets=int(megabytes * 1e6 / BYTES_PER_TOKEN)))


def _vocabulary() -> Iterator[Point]:
    """Tokens of the vocabulary."""
    for line in ("sliding", "slot-lbfgs", "ngram,hedge"):
        for size in (1024, 8192, 50_257, 151_936):
            yield Point("vocabulary", size, Case(line=line, targets=TARGETS, vocabulary=size))


def _parameters() -> Iterator[Point]:
    """Millions of parameters; the run says how many there are."""
    for line in ("sliding", "stream", "ttt"):
        for layers, width, size in SHAPES:
            case = Case(line=line, targets=TARGETS, layers=layers, width=width, vocabulary=size)
            yield Point("parameters", 0.0, case)


AXES: dict[str, Callable[[], Iterator[Point]]] = {
    "length": _length,
    "vocabulary": _vocabulary,
    "parameters": _parameters,
}


def run(axes: Sequence[str], most_seconds: float, tell: Callable[[str], None] = lambda line: None) -> ScalingReport:
    """Measure along the axes.

    Args:
        axes: of ``AXES``.
        most_seconds: of a run.
        tell: is told every row as it is measured.
    """
    rows: list[Row] = []
    for point in (point for axis in axes for point in AXES[axis]()):
        before = rows[-1] if rows and _follows(rows[-1].point, point) else None
        made = _measured(point) if _affordable(before, point, most_seconds) else Row(point, None)
        rows.append(made)
        tell(made.line)
    return ScalingReport(tuple(rows), environment("cpu"))


def _follows(one: Point, other: Point) -> bool:
    return one.axis == other.axis and one.case.line == other.case.line


def _affordable(before: Row | None, point: Point, most_seconds: float) -> bool:
    """Whether a run is short enough if it grows as its axis does; after one that was too long none is."""
    if before is None:
        return True
    return before.cost is not None and before.cost.seconds * _work(point) / _work(before.point) <= most_seconds


def _work(point: Point) -> float:
    """A number that a run's time is about proportional to along an axis."""
    case = point.case
    weights = 11 * case.layers * case.width**2 + case.width * case.vocabulary
    return case.targets * (weights + 1000 * case.vocabulary)


def _measured(point: Point) -> Row:
    found = _cost_of(point.case)
    value = found.parameters / 1e6 if point.axis == "parameters" else point.value
    return Row(replace(point, value=value), found)


def _cost_of(case: Case) -> Cost:
    """In a process of its own."""
    command = [sys.executable, "-m", "evaladapt.bench.scaled", json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EvaladaptError(f"the run of {case} failed: {done.stderr.strip().splitlines()[-1]}")
    return Cost(**json.loads(done.stdout))

"""The picture of ``evaladapt bench scaling``: a column an axis, processor time a target above, peak memory below."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaladapt.bench.scaling import Row, ScalingReport
from evaladapt.results.table import optional_package

NAMES = {"length": "megabytes of text", "vocabulary": "tokens of the vocabulary", "parameters": "million parameters"}
WIDTH, HEIGHT = 4.0, 6.0
"""Inches of a column."""


def save_picture(report: ScalingReport, path: Path) -> None:
    """Draw what was measured, in the format that the file's name says.

    Raises:
        UsageError: matplotlib is not installed.
    """
    matplotlib = optional_package("matplotlib", "report")
    figure_of = optional_package("matplotlib.figure", "report").Figure
    axes_measured = list(dict.fromkeys(row.point.axis for row in report.rows))
    with matplotlib.rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "none"}):
        figure = figure_of(figsize=(WIDTH * len(axes_measured), HEIGHT), layout="constrained")
        grid = figure.subplots(2, len(axes_measured), squeeze=False, sharex="col")
        for column, axis in enumerate(axes_measured):
            _draw(grid[:, column], [row for row in report.rows if row.point.axis == axis and row.cost])
            grid[1, column].set_xlabel(NAMES[axis])
        grid[0, 0].set_ylabel("processor ms a target")
        grid[1, 0].set_ylabel("peak memory, MB")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw(column: Any, rows: list[Row]) -> None:
    """Both panels of an axis, a line for each composition."""
    time, memory = column
    for line in dict.fromkeys(row.point.case.line for row in rows):
        mine = [(row.point.value, row.point.case.targets, row.cost) for row in rows if row.point.case.line == line]
        measured = [(value, targets, cost) for value, targets, cost in mine if cost is not None]
        values = [value for value, _, _ in measured]
        time.plot(values, [1000 * cost.seconds / targets for _, targets, cost in measured], "o-", label=line)
        memory.plot(values, [cost.megabytes for _, _, cost in measured], "o-", label=line)
    for panel in column:
        panel.set_xscale("log")
        panel.grid(visible=True, alpha=0.3)
    time.set_yscale("log")
    memory.set_ylim(bottom=0)
    time.legend(frameon=False)

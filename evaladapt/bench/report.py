"""What every benchmark returns: figures with their unit and, where one was promised, their bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What a person may choose."""

    artifact: str = "default"
    data: tuple[Path, ...] = ()
    weights: Path | None = None
    """A finished training's folder."""
    limit_tokens: int | None = None
    repeats: int = 3
    seconds: float | None = None


@dataclass(frozen=True)
class Figure:
    """One measured value. ``bound`` is the largest value that was promised, if any."""

    what: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def kept(self) -> bool | None:
        """Whether the promise is kept; None where there is none."""
        return None if self.bound is None else self.value <= self.bound


@dataclass(frozen=True)
class BenchReport:
    """All figures of one benchmark with the machine they were measured on."""

    name: str
    figures: tuple[Figure, ...]
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        figures = [{**asdict(figure), "kept": figure.kept} for figure in self.figures]
        return {"bench": self.name, "figures": figures, "environment": self.environment}

    def to_text(self) -> str:
        """As a table."""
        return "\n".join(figure_lines(self.figures))


def figure_lines(figures: Sequence[Figure]) -> list[str]:
    """One line a figure, with its bound."""
    width = max(len(figure.what) for figure in figures)
    return [f"{figure.what:{width}}  {_value(figure)}" for figure in figures]


def _value(figure: Figure) -> str:
    text = f"{figure.value:,.4g} {figure.unit}"
    if figure.bound is None:
        return text
    return f"{text}  ({'within' if figure.kept else 'ABOVE'} the bound of {figure.bound:g})"

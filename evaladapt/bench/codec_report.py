"""What ``evaladapt bench codec`` returns: one row for every compressor, and what was promised of evaladapt's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaladapt.bench.report import Figure, figure_lines

COLUMNS = ("", "bits per byte", "with its model", "compress KB/s", "decompress KB/s")


@dataclass(frozen=True)
class Row:
    """One compressor on the text.

    Attributes:
        packed_bytes: the whole file.
        model_bytes: what its decoder needs beside the program; an artifact, or nothing.
        compress_seconds: for the whole text, as are ``decompress_seconds``.
    """

    name: str
    packed_bytes: int
    model_bytes: int
    compress_seconds: float
    decompress_seconds: float

    def cells(self, text_bytes: int) -> tuple[str, ...]:
        """As the table shows it."""
        return (
            self.name,
            f"{8 * self.packed_bytes / text_bytes:.4f}",
            f"{8 * (self.packed_bytes + self.model_bytes) / text_bytes:.4f}",
            f"{text_bytes / self.compress_seconds / 1000:,.4g}",
            f"{text_bytes / self.decompress_seconds / 1000:,.4g}",
        )


@dataclass(frozen=True)
class CodecReport:
    """Rows, figures with their bounds, and the packages that were missing."""

    text: str
    text_bytes: int
    text_targets: int
    text_sha256: str
    artifact: str
    artifact_bytes: int
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    missing: tuple[str, ...]
    environment: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            **asdict(self),
            "bench": "codec",
            "figures": [{**asdict(figure), "kept": figure.kept} for figure in self.figures],
        }

    def to_text(self) -> str:
        """As a table."""
        machine = self.environment
        rows = [COLUMNS, *(row.cells(self.text_bytes) for row in self.rows)]
        return "\n".join(
            [
                f"text      {self.text}: {self.text_bytes:,} bytes, {self.text_targets:,} targets,"
                f" sha256 {self.text_sha256[:16]}",
                f"artifact  {self.artifact}, {self.artifact_bytes:,} bytes",
                f"machine   {machine['cpu']}, {machine['threads']} threads",
                "",
                *_table(rows),
                "",
                *figure_lines(self.figures),
                *(f"{package}: not installed, pip install {package}" for package in self.missing),
            ]
        )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]

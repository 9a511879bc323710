"""What an artifact consists of, for people: groups of weights with their bits and bytes.

``evaladapt pack`` and ``evaladapt artifact show`` print it.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from evaladapt.artifact.manifest import TOKENIZER_NAME
from evaladapt.artifact.reader import SealedFile


@dataclass(frozen=True)
class Group:
    """Weights that differ only in the number of their layer and are stored alike."""

    name: str
    tensors: int
    values: int
    quantizer: str
    bits: int
    coder: str
    bytes: int
    """Codes and scales as stored."""

    @property
    def bits_per_weight(self) -> float:
        """Stored bits per number, scales included."""
        return self.bytes * 8 / self.values


@dataclass(frozen=True)
class Summary:
    """The whole file: groups, tokenizer and header add up to ``bytes``."""

    path: str
    bytes: int
    sha256: str
    values: int
    groups: tuple[Group, ...]
    tokenizer_bytes: int
    header_bytes: int
    """Header, its length field, and the seal."""
    model: dict[str, Any]
    metadata: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        groups = [{**asdict(group), "bits_per_weight": group.bits_per_weight} for group in self.groups]
        return {**asdict(self), "groups": groups}


def summarise(file: SealedFile) -> Summary:
    """Group the weights of a checked file."""
    groups: dict[tuple[str, str, int, str], Group] = {}
    for name, entry in file.manifest.tensors.items():
        key = (re.sub(r"(?<=\.)\d+(?=\.)", "*", name), entry.quantizer, entry.bits, entry.coder)
        before = groups.get(key) or Group(key[0], 0, 0, *key[1:], 0)
        groups[key] = Group(
            key[0],
            before.tensors + 1,
            before.values + entry.values,
            *key[1:],
            before.bytes + file.stored_bytes(name),
        )
    tokenizer = len(file.stored[TOKENIZER_NAME].data)
    stored = sum(group.bytes for group in groups.values())
    return Summary(
        str(file.path),
        file.bytes,
        file.sha256,
        sum(group.values for group in groups.values()),
        tuple(groups[key] for key in sorted(groups)),
        tokenizer,
        file.bytes - stored - tokenizer,
        file.manifest.model,
        file.manifest.metadata,
    )


def summary_text(summary: Summary) -> str:
    """A plain table, one line per group, then totals."""
    width = max([len(group.name) for group in summary.groups] + [len("tokenizer")])
    line = f"{{:<{width}}}  {{:>7}}  {{:>11}}  {{:<10}} {{:>4}}  {{:<8}} {{:>11}}  {{:>11}}"
    rows = [line.format("weights", "tensors", "numbers", "quantiser", "bits", "coder", "bytes", "bits/weight")]
    for group in summary.groups:
        rows.append(
            line.format(
                group.name,
                group.tensors,
                f"{group.values:,}",
                group.quantizer,
                group.bits,
                group.coder,
                f"{group.bytes:,}",
                f"{group.bits_per_weight:.3f}",
            )
        )
    for name, size in (("tokenizer", summary.tokenizer_bytes), ("header, seal", summary.header_bytes)):
        rows.append(line.format(name, "", "", "", "", "", f"{size:,}", "").rstrip())
    per_weight = summary.bytes * 8 / max(summary.values, 1)
    total = line.format("total", "", f"{summary.values:,}", "", "", "", f"{summary.bytes:,}", f"{per_weight:.3f}")
    return "\n".join([*rows, total, f"sha256 {summary.sha256}", f"file   {summary.path}"])

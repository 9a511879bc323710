"""Snapshots: what a run needs, besides its ledger, to continue after a kill as if nothing had happened.

One safetensors file: the state of every strategy that has one, the weights if a strategy writes them, and how many
batches are done. It is replaced atomically.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from evaladapt.contract.views import State
from evaladapt.errors import EvaladaptError

FORMAT = "evaladapt-snapshot-1"
WEIGHTS = "weights"


@dataclass(frozen=True)
class Snapshot:
    """A run after ``batches`` batches."""

    batches: int
    states: Mapping[str, State]
    weights: Mapping[str, Tensor]


def write_snapshot(path: Path, identity: str, snapshot: Snapshot) -> None:
    """Replace the snapshot at ``path``.

    Raises:
        EvaladaptError: it cannot be written.
    """
    tensors = {f"{WEIGHTS}/{name}": tensor.contiguous() for name, tensor in snapshot.weights.items()}
    numbers: dict[str, dict[str, int]] = {}
    strings: list[str] = []
    for alias, state in snapshot.states.items():
        for name, value in state.items():
            if isinstance(value, int):
                numbers.setdefault(alias, {})[name] = value
            elif isinstance(value, bytes):
                strings.append(f"{alias}/{name}")
                tensors[f"{alias}/{name}"] = torch.frombuffer(bytearray(value or b"\0"), dtype=torch.uint8)
                numbers.setdefault(alias, {})[f"{name} length"] = len(value)
            else:
                tensors[f"{alias}/{name}"] = value.detach().cpu().contiguous().clone()
    head = {"format": FORMAT, "run": identity, "batches": snapshot.batches, "numbers": numbers, "bytes": strings,
            "aliases": list(snapshot.states)}  # fmt: skip
    content = save(tensors, metadata={"evaladapt": json.dumps(head, sort_keys=True)})
    temporary = path.with_suffix(".partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise EvaladaptError(f"the snapshot {path} cannot be written: {error.strerror}") from error


def read_snapshot(path: Path, identity: str) -> Snapshot | None:
    """The snapshot at ``path``, or None where there is none or it belongs to another run."""
    if not path.exists():
        return None
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise EvaladaptError(f"the snapshot {path} is damaged ({error}); remove it to start over") from error
    head = _head(path)
    if head.get("format") != FORMAT or head.get("run") != identity:
        return None
    states: dict[str, dict[str, Tensor | bytes | int]] = {alias: {} for alias in head["aliases"]}
    lengths = head["numbers"]
    for key, tensor in tensors.items():
        alias, _, name = key.partition("/")
        if alias == WEIGHTS and alias not in states:
            continue
        if key in head["bytes"]:
            states[alias][name] = bytes(tensor.numpy())[: lengths[alias].pop(f"{name} length")]
        else:
            states[alias][name] = tensor
    for alias, numbers in lengths.items():
        states[alias].update(numbers)
    weights = {key.removeprefix(f"{WEIGHTS}/"): one for key, one in tensors.items() if key.startswith(f"{WEIGHTS}/")}
    return Snapshot(head["batches"], states, weights)


def _head(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return dict(json.loads(header["__metadata__"]["evaladapt"]))

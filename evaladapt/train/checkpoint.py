"""Files of a training: the checkpoint to continue from, and the finished model.

Both are safetensors with one JSON string in the metadata (no pickle), written whole or not at all, so tensors and
numbers can never be of two different moments. The trainer writes them; ``evaladapt pack`` reads the finished model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from evaladapt.errors import DataError
from evaladapt.system.files import write_atomically

METADATA_KEY = "evaladapt"
CHECKPOINT_NAME = "checkpoint.safetensors"
MODEL_NAME = "final.safetensors"


@dataclass(frozen=True)
class NamedTensors:
    """Tensors with the JSON-ready facts that belong to them."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_tensors(path: Path, content: NamedTensors) -> None:
    """Write one safetensors file atomically. Raises :class:`DataError` when the disk refuses."""
    metadata = {METADATA_KEY: json.dumps(content.facts, sort_keys=True)}
    tensors = {name: tensor.detach().contiguous() for name, tensor in content.tensors.items()}
    write_atomically(path, [safetensors.torch.save(tensors, metadata)])


def read_tensors(path: Path) -> NamedTensors:
    """Read a file of :func:`write_tensors`. Raises :class:`DataError` for anything else."""
    if not path.is_file():
        raise DataError(f"{path} does not exist. Make one with: evaladapt train --out {path.parent}")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        facts = json.loads(metadata[METADATA_KEY])
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError, KeyError) as error:
        raise DataError(f"{path} is damaged or was not written by evaladapt train: {error}") from error
    return NamedTensors(tensors, facts)


@dataclass(frozen=True)
class TrainedModel:
    """What a finished training hands to ``pack``: float32 weights, the configuration that shapes them, their story."""

    model_config: dict[str, Any]
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def read_trained_model(path: Path) -> TrainedModel:
    """Read ``final.safetensors``, or the folder that holds it."""
    content = read_tensors(path / MODEL_NAME if path.is_dir() else path)
    if "model" not in content.facts:
        raise DataError(f"{path} has no model configuration; give the {MODEL_NAME} of a finished training.")
    return TrainedModel(content.facts["model"], content.tensors, content.facts)


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names with ``prefix/`` before them."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix/``, by their own names."""
    start = prefix + "/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}

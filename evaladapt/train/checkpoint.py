"""Files of a training: the checkpoint to continue from, and the finished model.

Both are safetensors with one JSON string in the metadata (no pickle), written whole or not at all, so tensors and
numbers can never be of two different moments. The trainer writes them; ``evaladapt pack`` reads the finished model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from evaladapt.artifact.container import SEAL_NAME
from evaladapt.errors import DataError
from evaladapt.system.files import write_atomically
from evaladapt.system.strict_json import Malformed, TextLimits, canonical_json, parse_json
from evaladapt.system.text import safe
from evaladapt.train.foreign import foreign_weights, refuse_other_models

METADATA_KEY = "evaladapt"
CHECKPOINT_NAME = "checkpoint.safetensors"
MODEL_NAME = "final.safetensors"
LIMITS = TextLimits(depth=16)


@dataclass(frozen=True)
class NamedTensors:
    """Tensors with the JSON-ready facts that belong to them."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_tensors(path: Path, content: NamedTensors) -> None:
    """Write one safetensors file atomically. Raises :class:`DataError` when the disk refuses."""
    metadata = {METADATA_KEY: canonical_json(content.facts)}
    tensors = {name: tensor.detach().contiguous() for name, tensor in content.tensors.items()}
    write_atomically(path, [safetensors.torch.save(tensors, metadata)])


def read_tensors(path: Path) -> NamedTensors:
    """Read a file of :func:`write_tensors`. Raises :class:`DataError` for anything else, which says what it is."""
    if not path.exists():
        raise DataError(f"{path} does not exist. Make one with: evaladapt train --out {path.parent}")
    refuse_other_models(path)
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if METADATA_KEY not in metadata or SEAL_NAME in file.keys():  # noqa: SIM118 (not a mapping)
                raise foreign_weights(path, sealed=SEAL_NAME in file.keys())  # noqa: SIM118
            # Cloned, because they are mapped: a file that is cut short later would end the process.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        facts = parse_json(metadata[METADATA_KEY], "its description", LIMITS)
    except (safetensors.SafetensorError, OSError, Malformed) as error:
        raise damaged(path, str(error)) from error
    if not isinstance(facts, dict):
        raise damaged(path, "its description is no object")
    return NamedTensors(tensors, facts)


def damaged(path: Path, why: str) -> DataError:
    """The error for a file that is not as :func:`write_tensors` left it."""
    return DataError(f"{path} is damaged or was not written by evaladapt train: {safe(why, 300)}")


@dataclass(frozen=True)
class TrainedModel:
    """What a finished training hands to ``pack``: float32 weights, the configuration that shapes them, their story."""

    model_config: dict[str, Any]
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def read_trained_model(path: Path) -> TrainedModel:
    """Read ``final.safetensors``, or the folder that holds it. Raises :class:`DataError`."""
    file = path / MODEL_NAME if path.is_dir() else path
    if not file.exists() and path.is_dir():
        refuse_other_models(path)
        if (path / CHECKPOINT_NAME).exists():
            raise DataError(f"{path} holds a training that has not ended. Let it end: evaladapt train … --resume")
    content = read_tensors(file)
    if "identity" in content.facts:
        raise DataError(
            f"{file} is the checkpoint of a training, so no model configuration stands in it; give the {MODEL_NAME} of"
            " a finished one. Let it end: evaladapt train … --resume"
        )
    if not isinstance(content.facts.get("model"), dict):
        raise damaged(file, "no model configuration stands in it")
    return TrainedModel(content.facts["model"], content.tensors, content.facts)


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names with ``prefix/`` before them."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix/``, by their own names."""
    start = prefix + "/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}

"""The state of a run as bytes: what every strategy remembers, and the weights where one writes them.

The bytes are one safetensors file. They leave the process that computes as an opaque string, because that process can
write no file, and come back to another one that is as new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from evaladapt.contract.views import State
from evaladapt.errors import EvaladaptError, PluginError

FORMAT = "evaladapt-state-1"
STRATEGY, WEIGHT = "strategy", "weight"


def pack_states(states: Mapping[str, State], weights: Mapping[str, Tensor]) -> bytes:
    """States by strategy and live weights by name.

    Raises:
        PluginError: a state holds something else than tensors, bytes and integers.
    """
    tensors = {f"{WEIGHT}/{name}": tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    numbers: dict[str, dict[str, int]] = {alias: {} for alias in states}
    lengths: dict[str, dict[str, int]] = {alias: {} for alias in states}
    for alias, state in states.items():
        for name, value in state.items():
            key = f"{STRATEGY}/{alias}/{name}"
            if isinstance(value, Tensor):
                tensors[key] = value.detach().cpu().contiguous().clone()
            elif isinstance(value, bytes):
                lengths[alias][name] = len(value)
                tensors[key] = torch.frombuffer(bytearray(value or b"\0"), dtype=torch.uint8)
            elif isinstance(value, int):
                numbers[alias][name] = value
            else:
                raise _no_state(alias, name, value)
    head = {"format": FORMAT, "numbers": numbers, "lengths": lengths}
    return save(tensors, metadata={"evaladapt": json.dumps(head, sort_keys=True)})


def size_of_state(alias: str, state: State) -> int:
    """Bytes that a strategy keeps; an integer counts 8.

    Raises:
        PluginError: as :func:`pack_states`.
    """
    size = 0
    for name, value in state.items():
        if isinstance(value, Tensor):
            size += value.numel() * value.element_size()
        elif isinstance(value, bytes | int):
            size += len(value) if isinstance(value, bytes) else 8
        else:
            raise _no_state(alias, name, value)
    return size


def _no_state(alias: str, name: str, value: object) -> PluginError:
    return PluginError(
        f"strategy {alias!r} returned {type(value).__name__} as {name!r} in its hook state; it is tensors,"
        " bytes and integers, by name"
    )


def unpack_states(content: bytes) -> tuple[dict[str, State], dict[str, Tensor]]:
    """What :func:`pack_states` packed.

    Raises:
        EvaladaptError: it is something else.
    """
    try:
        tensors, head = load(content), _head(content)
        states: dict[str, dict[str, Tensor | bytes | int]] = {
            alias: dict(numbers) for alias, numbers in head["numbers"].items()
        }
        for key, tensor in tensors.items():
            kind, _, rest = key.partition("/")
            if kind == STRATEGY:
                alias, _, name = rest.partition("/")
                size = head["lengths"][alias].get(name)
                states[alias][name] = tensor if size is None else bytes(tensor.numpy())[:size]
        weights = {key.removeprefix(f"{WEIGHT}/"): one for key, one in tensors.items() if key.startswith(f"{WEIGHT}/")}
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise EvaladaptError(
            f"the snapshot's state cannot be read ({error}); remove the snapshot to start over"
        ) from error
    return dict(states), weights


def _head(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["evaladapt"]))

"""Rehearsing a hook: the same call on a copy of the strategy, while the engine holds another text from some target on.

What a hook does at its place in the stream may depend on nothing from that place on. So its rehearsal must leave the
copy in the state, and return the values, of the real call, bit for bit. No forward pass is needed, which makes it cheap
enough to be done inside real runs, anywhere in the text.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaladapt.audit.text import Tokens, others
from evaladapt.audit.watch import HookCall
from evaladapt.contract.views import Past, Query, Scored
from evaladapt.engine.source import TokenSource

VALUES = {"transform_hidden": "hidden", "transform_logits": "logits", "mix": "logprobs"}


class CannotRehearse(Exception):
    """The strategy cannot be copied, or the text cannot be rewritten."""


def refuse_read_only(source: TokenSource) -> None:
    """Raise CannotRehearse where the text cannot be rewritten; to be asked before anything of a call is made."""
    if not source.tokens.flags.writeable:
        raise CannotRehearse("the text is in memory that cannot be written to")


@contextmanager
def rewritten_in_place(source: TokenSource, first: int, generator: np.random.Generator) -> Iterator[Tokens]:
    """Replace every token from ``first`` on in the very array that the engine holds, and put them back."""
    refuse_read_only(source)
    tokens = source.tokens
    kept = tokens[first:].copy()
    tokens[first:] = others(source, generator)[first:]
    try:
        yield tokens
    finally:
        tokens[first:] = kept


def double_of(plugin: Any, shared: list[Any]) -> Any:
    """A deep copy of a strategy that shares with it what belongs to the engine."""
    memo = {id(one): one for one in shared}
    try:
        return copy.deepcopy(plugin, memo)
    except (TypeError, RuntimeError, AttributeError, copy.Error) as error:
        raise CannotRehearse(f"it cannot be copied ({error})") from error


def horizon(call: HookCall) -> int | None:
    """The first target that the call may know nothing of; None where the arguments do not tell."""
    for value in call.arguments.values():
        if isinstance(value, Past):
            return int(value.positions[value.visible].max()) + 1 if bool(value.visible.any()) else 1
        if isinstance(value, Scored):
            return int(value.positions[-1]) + 1
    if call.hook == "begin":
        return 1
    if call.hook == "reset" and "boundary" in call.arguments:
        return int(call.arguments["boundary"].position) + 1
    return None


@dataclass(frozen=True)
class FlippedTransform:
    """Arguments of a transform as they would be under another text from ``position`` on.

    Attributes:
        kept: [B,S] bool, the targets whose values must stay.
    """

    position: int
    arguments: dict[str, Any]
    kept: Tensor


def flipped_transform(call: HookCall, position: int, tokens: Tokens) -> FlippedTransform:
    """Rewrite everything in a transform's arguments that lies behind the target at ``position``."""
    query: Query = call.arguments["query"]
    kept = query.valid & (query.positions <= position)
    name = VALUES[call.hook]
    start, stop = query._prefix_start, query._prefix_start + len(query._prefix)
    prefix = torch.from_numpy(tokens[start:stop].astype(np.int64)).to(query._prefix.device)
    trail = tuple(_disturbed(entry, kept) for entry in query.trail)
    changed: dict[str, Any] = {"query": replace(query, _prefix=prefix, trail=trail)}
    if name in call.arguments:
        changed[name] = _disturbed(call.arguments[name], kept)
    return FlippedTransform(position, changed, kept)


def _disturbed(values: Tensor, kept: Tensor) -> Tensor:
    """The same values where ``kept``, others elsewhere."""
    return torch.where(kept.unsqueeze(-1), values, values.roll(1, dims=-1))

"""The shape of a transformer as plain, checked values.

Read from a preset or from an artifact's metadata, handed to ``evaladapt.model.transformer``. Importing this module does
not import torch, so that commands which only list or check configurations stay quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from evaladapt.errors import UsageError, near_miss

MAX_VOCABULARY = 65_536


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and constants of one model. Raises :class:`UsageError` when they do not fit together."""

    vocab_size: int
    layers: int = 4
    width: int = 256
    heads: int = 8
    kv_heads: int = 4
    mlp_width: int = 1024
    context: int = 512
    """Tokens per window in training. Longer windows work: positions are relative and their base is fixed."""
    rope_base: float = 10_000.0
    logit_softcap: float = 30.0
    qk_gain: float = 1.5
    """Initial value of the learned gain that multiplies normalised queries, one per query head."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_number(field.name, getattr(self, field.name), whole=field.type == "int")
        if self.vocab_size > MAX_VOCABULARY:
            raise UsageError(f"model: vocab_size is {self.vocab_size}; shards hold 16-bit tokens, so at most 65536.")
        if self.width % self.heads:
            raise UsageError(f"model: width {self.width} is not a multiple of heads {self.heads}.")
        if self.heads % self.kv_heads:
            raise UsageError(f"model: heads {self.heads} is not a multiple of kv_heads {self.kv_heads}.")
        if self.head_width % 2:
            raise UsageError(f"model: width/heads is {self.head_width}; rotary positions need an even number.")

    @property
    def head_width(self) -> int:
        """Numbers per attention head."""
        return self.width // self.heads

    def to_dict(self) -> dict[str, int | float]:
        """The configuration as JSON-ready values; :meth:`from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from metadata. Unknown and missing names are errors: a silently ignored option changes the model."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise UsageError(f"model: unknown option {name!r}.{near_miss(name, known)} Known: {', '.join(known)}.")
        if "vocab_size" not in values:
            raise UsageError("model: vocab_size is missing; it is the tokenizer's vocabulary size.")
        return cls(**values)


def _check_number(name: str, value: object, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise UsageError(f"model: {name} must be {'a whole number' if whole else 'a number'}, not {value!r}.")
    if not 0 < value < float("inf"):
        raise UsageError(f"model: {name} must be positive and finite, not {value!r}.")

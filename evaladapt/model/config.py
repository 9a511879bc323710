"""The shape of a transformer as plain, checked values.

Read from a preset or from an artifact's metadata, handed to ``evaladapt.model.transformer``. Importing this module does
not import torch, so that commands which only list or check configurations stay quick.

Every feature is off unless it is named, so metadata written before a feature existed describes the same model as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from evaladapt.errors import UsageError, near_miss

MAX_VOCABULARY = 65_536
MAX_NUMBER = (1 << 31) - 1
"""So that the size of a table is a 64-bit number."""
MAX_LOOP_TIMES = 16
"""A bound on what a few bytes of metadata can make a reader compute."""
MAY_BE_ZERO = (
    "rope_width",
    "xsa_layers",
    "bos_id",
    "bigram_buckets",
    "parallel_layers",
    "loop_start",
    "loop_stop",
    "mtp_heads",
)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes, constants and features of one model. Raises :class:`UsageError` when they do not fit together."""

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

    rope_width: int = 0
    """Partial rotary positions: the leading numbers of each head that are rotated; 0 means all of them."""
    xsa_layers: int = 0
    """The last layers whose attention output loses its component along the token's own value."""
    value_embedding_layers: tuple[int, ...] = ()
    """Layers, counted from 0, that add an embedding of the token to its attention values."""
    value_embedding_width: int = 128
    """Width of that embedding before its projection; one table serves all its layers."""

    bos_id: int = 1
    """The token that opens a document: where it stands, the input does not read the token before."""
    bigram_buckets: int = 0
    """Rows of the table for hashed pairs of tokens that is added to the embedding; 0 for none."""
    bigram_width: int = 128
    """Width of that table before its projection."""
    smear_gate: bool = False
    """Mix the embedding of the token before into each token's, by a learned share per channel."""

    residual_mix: bool = True
    """Each block's input is a learned mixture, per channel, of the stream and the network's input."""
    unet_skips: bool = False
    """Outputs of the first half of the layers are added, scaled per channel, to inputs of the second, last in first."""
    depth_scale: bool = False
    """Normalised inputs of layer ``l`` (from 0) are multiplied by ``1 / sqrt(l + 1)``."""
    parallel_layers: int = 0
    """The last layers whose attention and MLP read the same normalised input."""
    loop_start: int = 0
    loop_stop: int = 0
    loop_times: int = 1
    """Depth recurrence: layers ``loop_start`` to ``loop_stop - 1`` run this often in a row, on the same weights."""

    mtp_heads: int = 0
    """Heads for training alone: head ``k`` (from 1) predicts the token ``k`` places beyond the next."""
    mtp_weight: float = 0.1
    """What the mean of their losses is multiplied by before it joins the training loss."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "bool":
                _check_switch(field.name, value)
            elif field.type in ("int", "float"):
                _check_number(field.name, value, whole=field.type == "int")
        object.__setattr__(self, "value_embedding_layers", _layer_numbers(self.value_embedding_layers, self.layers))
        self._check_sizes()
        self._check_features()

    def _check_sizes(self) -> None:
        if self.vocab_size > MAX_VOCABULARY:
            raise UsageError(f"model: vocab_size is {self.vocab_size}; shards hold 16-bit tokens, so at most 65536.")
        if self.width % self.heads:
            raise UsageError(f"model: width {self.width} is not a multiple of heads {self.heads}.")
        if self.heads % self.kv_heads:
            raise UsageError(f"model: heads {self.heads} is not a multiple of kv_heads {self.kv_heads}.")
        if self.head_width % 2:
            raise UsageError(f"model: width/heads is {self.head_width}; rotary positions need an even number.")

    def _check_features(self) -> None:
        if self.rope_width % 2 or self.rope_width > self.head_width:
            raise UsageError(
                f"model: rope_width is {self.rope_width}; it must be even and at most width/heads, {self.head_width}."
            )
        if self.bos_id >= self.vocab_size:
            raise UsageError(f"model: bos_id {self.bos_id} is outside of the vocabulary of {self.vocab_size}.")
        if self.bigram_buckets == 1:
            raise UsageError("model: bigram_buckets must be 0 (none) or at least 2; one bucket serves document starts.")
        for name in ("xsa_layers", "parallel_layers"):
            if getattr(self, name) > self.layers:
                raise UsageError(f"model: {name} is {getattr(self, name)}; the model has {self.layers} layers.")
        if self.loop_times > MAX_LOOP_TIMES:
            raise UsageError(f"model: loop_times is {self.loop_times}; at most {MAX_LOOP_TIMES}.")
        if self.loop_times > 1 and not self.loop_start < self.loop_stop <= self.layers:
            raise UsageError(
                f"model: loop_times {self.loop_times} repeats layers loop_start {self.loop_start} to loop_stop "
                f"{self.loop_stop} - 1, which is no range within {self.layers} layers."
            )
        if self.unet_skips and self.layers < 2:
            raise UsageError("model: unet_skips needs at least two layers.")
        if self.mtp_heads >= self.context:
            raise UsageError(f"model: mtp_heads {self.mtp_heads} look beyond a window of {self.context} tokens.")

    @property
    def head_width(self) -> int:
        """Numbers per attention head."""
        return self.width // self.heads

    @property
    def rotated_width(self) -> int:
        """Numbers per attention head that are rotated."""
        return self.rope_width or self.head_width

    @property
    def layer_order(self) -> tuple[int, ...]:
        """Which layer's weights run at each place of the network, first to last."""
        order = tuple(range(self.layers))
        if self.loop_times == 1:
            return order
        loop = order[self.loop_start : self.loop_stop]
        return order[: self.loop_start] + loop * self.loop_times + order[self.loop_stop :]

    def for_scoring(self) -> ModelConfig:
        """The same model without what only its training needs."""
        return replace(self, mtp_heads=0)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON-ready values; :meth:`from_dict` reads it back."""
        return {**asdict(self), "value_embedding_layers": list(self.value_embedding_layers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from metadata. Unknown names are errors: a silently ignored option changes the model."""
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
    if name in MAY_BE_ZERO and value == 0:
        return
    if not 0 < value < float("inf"):
        raise UsageError(f"model: {name} must be positive and finite, not {value!r}.")
    if value > MAX_NUMBER:
        raise UsageError(f"model: {name} is {value:,}; at most {MAX_NUMBER:,}.")


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"model: {name} must be true or false, not {value!r}.")


def _layer_numbers(value: object, layers: int) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or any(type(one) is not int for one in value):
        raise UsageError(f"model: value_embedding_layers must be a list of layer numbers, not {value!r}.")
    if list(value) != sorted(set(value)) or any(not 0 <= one < layers for one in value):
        raise UsageError(
            f"model: value_embedding_layers {list(value)} must name layers from 0 to {layers - 1}, each once, rising."
        )
    return tuple(value)

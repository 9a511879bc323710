"""How much a file from a stranger may ask for before anything is allocated for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Caps of the reader. The defaults take models of 268 million weights; raise them for a file you trust."""

    file_bytes: int = 1 << 30
    header_bytes: int = 1 << 20
    json_depth: int = 16
    tensors: int = 4096
    """Stored tensors; a quantised weight is two of them."""
    values: int = 1 << 28
    """Numbers in all decoded weights together."""
    tokenizer_bytes: int = 1 << 24
    config_number: int = 10_000_000
    """Largest number in the model configuration, so that no one builds a billion layers."""

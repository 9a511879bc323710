"""Bits per byte of held-out shards, as the trainer watches it.

Windows of the model's context lie side by side, so each begins without a past: the figure is a little above what a
sliding evaluation gives. Tokens come from ``val_*.bin``; bytes from the tokenizer's table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from evaladapt.data.shards import ShardTokens
from evaladapt.errors import DataError
from evaladapt.model.transformer import Transformer

ROWS = 16


@dataclass(frozen=True)
class HeldOut:
    """Windows of one source: ``windows [N, S + 1]`` token ids and the bytes that their targets stand for."""

    name: str
    windows: npt.NDArray[np.int64]
    text_bytes: int


def held_out(name: str, shards: list[ShardTokens], context: int, tokens: int, piece_bytes: list[bytes]) -> HeldOut:
    """The first ``tokens`` tokens of the shards, or what there is, as whole windows."""
    windows = [
        shard[start : start + context + 1] for shard in shards for start in range(0, len(shard) - context, context)
    ]
    if not windows:
        raise DataError(f"{name}: no val shard has {context + 1} tokens, enough for one window. Hold out more text.")
    kept = np.stack(windows[: max(1, tokens // context)]).astype(np.int64)
    lengths = np.array([len(piece) for piece in piece_bytes], dtype=np.int64)
    return HeldOut(name, kept, int(lengths[kept[:, 1:]].sum()))


@torch.no_grad()
def bits_per_byte(model: Transformer, data: HeldOut, device: torch.device) -> float:
    """``sum(-ln p) / ln 2 / bytes`` over all targets, summed in float64; a BOS target costs bits and has no bytes."""
    nats = 0.0
    for start in range(0, len(data.windows), ROWS):
        tokens = torch.from_numpy(data.windows[start : start + ROWS]).to(device)
        logits = model(tokens[:, :-1]).float()
        losses = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        nats += float(losses.double().sum())
    return nats / math.log(2) / data.text_bytes

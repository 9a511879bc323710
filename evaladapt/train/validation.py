"""Bits per byte of held-out shards, as the trainer watches it.

Windows of the model's context lie side by side, so each begins without a past: the figure is a little above what a
sliding evaluation gives. Tokens come from ``val_*.bin``; bytes are counted as in a run
(:func:`~evaladapt.data.accounting.byte_lengths`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from evaladapt.data.accounting import byte_lengths
from evaladapt.data.shards import ShardTokens
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import DataError
from evaladapt.model.transformer import Transformer

ROWS = 16


@dataclass(frozen=True)
class HeldOut:
    """Windows of one source: ``windows [N, S + 1]`` token ids and the bytes that their targets stand for."""

    name: str
    windows: npt.NDArray[np.int64]
    text_bytes: int


def held_out(name: str, shards: list[ShardTokens], context: int, tokens: int, tokenizer: Tokenizer) -> HeldOut:
    """The first ``tokens`` tokens of the shards, or what there is, as whole windows; bytes are counted as in a run."""
    windows, sizes = [], []
    for shard in shards:
        lengths = byte_lengths(shard, tokenizer)
        for start in range(0, len(shard) - context, context):
            windows.append(shard[start : start + context + 1])
            sizes.append(int(lengths[start + 1 : start + context + 1].sum()))
    if not windows:
        raise DataError(f"{name}: no val shard has {context + 1} tokens, enough for one window. Hold out more text.")
    count = max(1, tokens // context)
    return HeldOut(name, np.stack(windows[:count]).astype(np.int64), sum(sizes[:count]))


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

"""Text to calibrate on: sampled from the model, or windows of training shards that share no document with a text to be
scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaladapt.data.manifest import refuse_trained_text
from evaladapt.data.shards import read_shards
from evaladapt.errors import DataError
from evaladapt.model.backend import IncrementalBackend

ROWS_AT_ONCE = 16


@torch.no_grad()
def own_text(model: IncrementalBackend, rows: int, length: int, bos: int, seed: int = 0) -> Tensor:
    """Tokens ``[rows, length]`` int64 that the model draws from its own distribution, each row after a BOS.

    Drawn at temperature 1, so that the targets are distributed as the model says: then the mean square of the loss's
    gradient is the Fisher information. A few rows are written side by side: more of them, and their cache would take
    more memory than the model.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.full((rows, length), bos, dtype=torch.int64)
    for some in torch.split(tokens, ROWS_AT_ONCE):
        cache = model.start_cache(len(some), length)
        for position in range(1, length):
            states = model.extend(some[:, position - 1 : position], cache)
            chances = torch.softmax(model.head(states)[:, -1].float(), dim=-1)
            some[:, position] = torch.multinomial(chances, 1, generator=generator)[:, 0]
    return tokens


def training_text(folder: Path, rows: int, length: int, vocabulary: int, never: Sequence[Path] = ()) -> Tensor:
    """Tokens ``[rows, length]`` int64: windows spread evenly over the training shards of ``folder``.

    Args:
        folder: what ``evaladapt data prepare`` made; only its ``train_*.bin`` are read.
        rows, length: size of the result.
        vocabulary: of the model, to refuse shards of another one.
        never: texts that will be scored; a folder that holds a document of theirs is refused.

    Raises:
        DataError: an overlap, too few tokens, or no such folder.
    """
    for text in never:
        refuse_trained_text(folder, text)
    shards = sorted(folder.glob("train_*.bin"))
    if not shards:
        raise DataError(f"{folder} has no train_*.bin. Make them with: evaladapt data prepare TEXT --out {folder}")
    tokens = np.concatenate(list(read_shards(shards, vocabulary)))
    if len(tokens) < length:
        raise DataError(f"{folder} has {len(tokens)} training tokens, fewer than one window of {length}.")
    starts = np.linspace(0, len(tokens) - length, rows).astype(np.int64)
    return torch.from_numpy(np.stack([tokens[start : start + length] for start in starts]).astype(np.int64))

"""What a training minimises, in nats per token.

The trainer calls it once per batch. Without multi-token heads it is the mean negative log-likelihood of the next token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from evaladapt.model.transformer import Transformer


def training_loss(model: Transformer, inputs: Tensor, targets: Tensor, *, documents_apart: bool = False) -> Tensor:
    """Mean loss of ``targets [B, S]`` given ``inputs [B, S]``, plus ``mtp_weight`` times the heads' mean.

    Head ``k`` (from 1) predicts target ``s + k`` at position ``s``; the last ``k`` positions have none. With
    ``documents_apart`` no position reads another document of its row.
    """
    hidden = model.hidden(inputs, documents_apart=documents_apart)
    loss = _nats(model, hidden, targets)
    if not model.mtp:
        return loss
    ahead = [
        _nats(model, head(hidden[:, :-distance]), targets[:, distance:])
        for distance, head in enumerate(model.mtp, start=1)
    ]
    return loss + model.config.mtp_weight * torch.stack(ahead).mean()


def _nats(model: Transformer, hidden: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(model.head(hidden).float().flatten(0, 1), targets.flatten())

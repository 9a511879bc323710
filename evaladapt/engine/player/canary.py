"""The canary: a hash of one forward, by which a decoder knows before it starts that its arithmetic is the encoder's.

Same machine, same build: same bits. Another processor, another torch, another kernel: other last bits, and the text
would go wrong somewhere in the middle.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from evaladapt.model.backend import Backend, IncrementalBackend

SINGLE_STEPS = 4
LONGEST = 1024
"""Tokens of the row; all logits of a row of 8,192 would take gigabytes."""


@torch.no_grad()
def canary(model: Backend) -> str:
    """Hash of logits and log-probabilities after a row of the model's context at most, read as step mode reads it."""
    device = next(iter(dict(model.named_parameters()).values())).device
    tokens = (torch.arange(min(model.context, LONGEST), device=device) * 7919 % model.vocab_size).unsqueeze(0)
    logits = model.head(_states(model, tokens)).float()
    hasher = hashlib.sha256(np.ascontiguousarray(logits.cpu().numpy()).tobytes())
    hasher.update(torch.log_softmax(logits[0, -1], dim=-1).cpu().numpy().tobytes())
    return hasher.hexdigest()


def _states(model: Backend, tokens: Tensor) -> Tensor:
    if not isinstance(model, IncrementalBackend) or tokens.shape[1] <= SINGLE_STEPS:
        return model.hidden(tokens)
    cache = model.start_cache(*tokens.shape)
    steps = range(tokens.shape[1] - SINGLE_STEPS, tokens.shape[1])
    pieces = [tokens[:, : steps.start], *(tokens[:, step : step + 1] for step in steps)]
    return torch.cat([model.extend(piece, cache) for piece in pieces], dim=1)

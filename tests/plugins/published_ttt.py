"""The evaluation loop of parameter-golf #549, written from its description and from nothing of the engine.

Targets are numbered from 0 there. A window belongs to the chunk in which its first scored target lies; a chunk is
scored, and then, unless it is the last, trained on in disjoint sequences of the window's length.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum, its learning rate along a cosine over the chunks."""

    chunk: int
    stride: int
    epochs: int
    lr: float
    sequences: int
    momentum: float = 0.9
    clip: float = 1.0


def scored_then_trained(model, tokens, recipe):
    """Log-probabilities of ``tokens[1:]``, float64 [N]; ``model`` is left as the last chunk but one trained it."""
    inputs, targets = torch.as_tensor(tokens[:-1]).long(), torch.as_tensor(tokens[1:]).long()
    width, count = model.context, len(targets)
    chunks = math.ceil(count / recipe.chunk)
    windows = [(start, 0 if start == 0 else width - recipe.stride)
               for start in range(0, count, recipe.stride)
               if start == 0 or start + width - recipe.stride < count]  # fmt: skip
    optimiser = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum)
    charged = np.zeros(count)
    for chunk in range(chunks):
        with torch.no_grad():
            for start, skipped in windows:
                if (start + skipped) // recipe.chunk == chunk:
                    end = min(start + width, count)
                    logits = model(inputs[None, start:end])[0, skipped:]
                    nats = cross_entropy(logits.float(), targets[start + skipped : end], reduction="none")
                    charged[start + skipped : end] = -nats.double().numpy()
        if chunk < chunks - 1:
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr * 0.5 * (1 + math.cos(math.pi * chunk / (chunks - 1)))
            _train(model, optimiser, inputs, targets, chunk * recipe.chunk, recipe)
    return charged


def _train(model, optimiser, inputs, targets, first, recipe):
    chosen = slice(first, first + recipe.chunk)
    rows, answers = (one[chosen].view(-1, model.context) for one in (inputs, targets))
    for _ in range(recipe.epochs):
        for row in range(0, len(rows), recipe.sequences):
            some = slice(row, row + recipe.sequences)
            optimiser.zero_grad()
            cross_entropy(model(rows[some]).flatten(0, 1).float(), answers[some].flatten()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()

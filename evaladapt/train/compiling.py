"""The loss as it is, or as kernels that torch.compile makes of it; ``trainer`` takes one of them for all its steps."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from evaladapt.model.transformer import Transformer
from evaladapt.train.loss import training_loss


class Loss(Protocol):
    """What :func:`evaladapt.train.loss.training_loss` is."""

    def __call__(self, model: Transformer, inputs: Tensor, targets: Tensor, *, documents_apart: bool = False) -> Tensor:
        """Mean nats of ``targets [B, S]`` given ``inputs [B, S]``."""


def loss_for(device: torch.device, wanted: str) -> Loss:
    """The loss for ``device`` under the setting ``wanted``, one of ``auto``, ``on`` and ``off``.

    ``auto`` compiles on CUDA alone: a CPU needs a C++ compiler for it and half a minute, and gains little.
    """
    if wanted == "on" or (wanted == "auto" and device.type == "cuda"):
        compiled: Loss = torch.compile(training_loss)
        return compiled
    return training_loss

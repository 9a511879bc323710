"""Choosing where a model runs."""

from __future__ import annotations

import torch

from evaladapt.errors import UsageError


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is any, else the CPU; other names are torch's.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device {name!r} is not one torch knows; use cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {name!r} was asked for, but torch finds no CUDA here; use --device cpu")
    return device

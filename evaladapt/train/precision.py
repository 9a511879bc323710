"""In which arithmetic a training multiplies matrices. Weights, momenta and sums are float32 in any case."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def product_type(device: torch.device, wanted: str) -> torch.dtype:
    """The type of products on ``device`` for the setting ``wanted``, one of ``auto``, ``float32`` and ``bfloat16``.

    ``auto`` takes bfloat16 where the hardware multiplies it: CUDA, and CPUs with matrix units (AMX). Other CPUs emulate
    it, many times slower than float32.
    """
    if wanted == "auto":
        return torch.bfloat16 if device.type == "cuda" or _has_matrix_units() else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def multiplying_in(device: torch.device, products: torch.dtype) -> AbstractContextManager[object]:
    """Inside, matrix products of float32 tensors are computed in ``products``."""
    return nullcontext() if products == torch.float32 else torch.autocast(device.type, products)


def _has_matrix_units() -> bool:
    # torch keeps the question private; without an answer float32 is always right.
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return supported is not None and bool(supported())

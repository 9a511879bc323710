"""Causal grouped-query attention behind one function.

On CUDA with half-precision inputs the flash-attn package is used where it is importable; everywhere else torch's
scaled-dot-product attention, which computes the same. ``block`` is the only caller.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

HALF_TYPES = (torch.float16, torch.bfloat16)


def attend(q: Tensor, k: Tensor, v: Tensor, readable: Tensor | None = None) -> Tensor:
    """Causal attention of ``q [B, H, S, Dh]`` over ``k, v [B, G, S, Dh]``; returns ``[B, H, S, Dh]``.

    ``G`` divides ``H``: consecutive groups of ``H / G`` query heads share one key and value head. Scores are divided
    by ``sqrt(Dh)``. Position ``s`` reads positions ``0 .. s`` of its own row and nothing else. Where ``k`` and ``v``
    hold more positions than ``q``, the queries are the last ones. ``readable [B, 1, S, S]`` bool, from
    :func:`own_document`, takes the place of the causal mask.
    """
    if readable is not None:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=readable, enable_gqa=q.shape[1] != k.shape[1])
    if q.shape[2] != k.shape[2]:
        return _attend_to_longer(q, k, v)
    flash = _flash_function() if q.is_cuda and q.dtype in HALF_TYPES else None
    if flash is not None:
        return flash(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), causal=True).transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


def own_document(tokens: Tensor, bos_id: int) -> Tensor:
    """What each position of ``tokens [B, S]`` may read, ``[B, 1, S, S]`` bool: its own document, up to itself."""
    document = (tokens == bos_id).cumsum(dim=1)
    return (document[:, :, None] == document[:, None, :]).tril()[:, None]


def without_own_value(attended: Tensor, own: Tensor) -> Tensor:
    """Exclusive self-attention (XSA, parameter-golf #549): ``y - (y . u) u`` with ``u = v / |v|`` of the same token.

    ``attended [B, H, S, Dh]`` is what :func:`attend` returned, ``own [B, G, S, Dh]`` the values of the same tokens.
    What a token already carries is thereby left out of what attention tells it.
    """
    direction = F.normalize(own, dim=-1).repeat_interleave(attended.shape[1] // own.shape[1], dim=1)
    return attended - (attended * direction).sum(dim=-1, keepdim=True) * direction


def _attend_to_longer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same for queries at the end of a longer row; a single one reads everything and needs no mask."""
    new, length = q.shape[2], k.shape[2]
    mask = None if new == 1 else torch.ones(new, length, dtype=torch.bool, device=q.device).tril(length - new)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=q.shape[1] != k.shape[1])


@cache
def _flash_function() -> Callable[..., Tensor] | None:
    try:
        from flash_attn import flash_attn_func
    except ImportError:  # not installed, or built for another torch
        return None
    function: Callable[..., Tensor] = flash_attn_func
    return function

"""The nearest orthogonal matrix by the Newton-Schulz iteration of Muon (Jordan et al. 2024).

Gradients or momenta of weight matrices go in; updates whose singular values are all near one come out. The trainer and
the strategies that train at evaluation time both use it.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic that drives singular values into about [0.7, 1.2] in five iterations."""
ITERATIONS = 5
WIDE = 2
"""Matrices that are so many times wider than high take less work by their Gram matrices."""


def orthogonalise(matrices: Tensor, precision: torch.dtype | None = None) -> Tensor:
    """Approximate ``U V^T`` of each matrix of ``[N, R, C]``; singular values end near 1, a zero matrix stays zero.

    It iterates in ``precision``; without one in bfloat16 on CUDA and in float32 elsewhere, because most CPUs emulate
    bfloat16 slowly (torch's own Muon uses it always).
    """
    x = matrices.to(precision or (torch.bfloat16 if matrices.is_cuda else torch.float32))
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.matrix_norm(x.float(), keepdim=True) + 1e-7).to(x.dtype)
    wide = x.shape[-1] >= WIDE * x.shape[-2] and x.dtype != torch.bfloat16
    x = _by_gram(x) if wide else _directly(x)
    orthogonal: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return orthogonal


def _directly(x: Tensor) -> Tensor:
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x


def _by_gram(x: Tensor) -> Tensor:
    """The same with small products only: every iteration is a polynomial ``p`` of the Gram matrix ``x x'``, and its
    own Gram matrix is ``p (x x') p``. The polynomials are multiplied up, and ``x`` is touched twice.
    """
    a, b, c = NEWTON_SCHULZ
    gram = x @ x.mT
    product: Tensor | None = None
    for iteration in range(ITERATIONS):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=-2, dim2=-1).add_(a)
        product = polynomial if product is None else polynomial @ product
        if iteration < ITERATIONS - 1:
            gram = polynomial @ gram @ polynomial
    return x if product is None else product @ x

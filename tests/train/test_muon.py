import pytest
import torch
from torch import Tensor, nn

from evaladapt.toolbox.orthogonal import NEWTON_SCHULZ, orthogonalise
from evaladapt.train.muon import Muon


def naive_update(matrix: Tensor) -> Tensor:
    """Five quintic iterations on the singular values alone, in float64."""
    a, b, c = NEWTON_SCHULZ
    left, values, right = torch.linalg.svd(matrix.double() / matrix.double().norm(), full_matrices=False)
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    update: Tensor = (left * values) @ right
    return update


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8)])
def test_singular_values_end_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape)
    result = orthogonalise(matrices)
    values = torch.linalg.svdvals(result)
    # The smallest singular values of a square Gaussian matrix start too close to zero for five iterations.
    assert values[:, : min(shape) // 2].min() > 0.6
    assert values.max() < 1.25
    for matrix, ours in zip(matrices, result, strict=True):
        assert torch.allclose(ours.double(), naive_update(matrix), atol=1e-4)


def test_a_zero_matrix_stays_zero() -> None:
    assert torch.equal(orthogonalise(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))


def test_batched_steps_equal_one_weight_at_a_time() -> None:
    torch.manual_seed(0)
    lr, momentum, decay = 0.1, 0.9, 0.2
    shapes = [(8, 6), (6, 8), (8, 6), (5, 5)]
    weights = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    expected = [weight.detach().double() for weight in weights]
    buffers = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    optimizer = Muon(weights, lr=lr, momentum=momentum, weight_decay=decay)
    for _ in range(3):
        for index, weight in enumerate(weights):
            gradient = torch.randn(weight.shape)
            weight.grad = gradient
            buffers[index] = momentum * buffers[index] + gradient
            update = naive_update(gradient + momentum * buffers[index])
            scale = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
            expected[index] = (1 - lr * decay) * expected[index] - lr * scale * update
        optimizer.step()
    for weight, reference in zip(weights, expected, strict=True):
        assert torch.allclose(weight.detach().double(), reference, atol=1e-4)


def test_a_weight_without_gradient_stays() -> None:
    weight = nn.Parameter(torch.ones(3, 3))
    Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.5).step()
    assert torch.equal(weight.detach(), torch.ones(3, 3))

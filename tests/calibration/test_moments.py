import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from evaladapt.artifact.gptq import gptq
from evaladapt.artifact.quantize import clip_grid, dequantize, nearest
from evaladapt.calibration.moments import calibrate, input_moments, loss_sensitivity
from evaladapt.calibration.text import own_text
from tests.tiny import BOS, tiny_model


@pytest.fixture(scope="module")
def text():
    return own_text(tiny_model(), 6, 16, BOS)


def test_every_matrix_that_multiplies_has_a_moment_and_so_has_the_head(text):
    model = tiny_model()
    moments = input_moments(model, text)
    matrices = {name for name, weight in model.named_parameters() if weight.ndim == 2 and "mix" not in name}
    assert set(moments) == matrices
    for name, moment in moments.items():
        columns = dict(model.named_parameters())[name].shape[1]
        assert moment.shape == (columns, columns)
        assert np.linalg.eigvalsh(moment).min() > -1e-6 * np.trace(moment)


def test_the_head_sees_the_final_states(text):
    model = tiny_model()
    states = model.hidden(text).flatten(0, 1).double()
    np.testing.assert_allclose(
        input_moments(model, text)["embedding"], (states.T @ states / len(states)).numpy(), rtol=1e-4, atol=1e-5
    )


def test_moments_do_not_depend_on_how_rows_are_grouped(text):
    model = tiny_model()
    together, apart = input_moments(model, text), [input_moments(model, row[None]) for row in text]
    for name, moment in together.items():
        mean = sum(one[name] for one in apart) / len(apart)
        np.testing.assert_allclose(moment, mean, rtol=1e-4, atol=1e-5)


def test_sensitivity_is_the_mean_squared_gradient(text):
    """Against the gradient of one row by finite differences along it."""
    model, row = tiny_model(), text[:1]
    found = loss_sensitivity(model, row)
    name = "blocks.1.mlp.up"
    weight = dict(model.named_parameters())[name].requires_grad_(True)
    loss = F.cross_entropy(model(row[:, :-1])[0], row[0, 1:], reduction="sum")
    (gradient,) = torch.autograd.grad(loss, weight)
    assert found[name] == pytest.approx(float(gradient.double().square().sum()) / 15, rel=1e-4)


def test_sensitivity_predicts_the_loss_of_noise():
    """Half the trace of the Fisher information times the variance of the noise, on the model's own text."""
    model = tiny_model()
    tokens = own_text(model, 64, 16, BOS)
    name, deviation = "blocks.0.mlp.down", 0.03
    predicted = 0.5 * loss_sensitivity(model, tokens)[name] * deviation**2

    def divergence(noisy):
        """From the model's distribution, exactly: no sampling noise of targets."""
        inputs = tokens[:, :-1]
        return (
            F.kl_div(
                F.log_softmax(noisy(inputs), -1), F.log_softmax(model(inputs), -1), reduction="sum", log_target=True
            )
            / inputs.numel()
        )

    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(20):
        noisy = tiny_model()
        weight = dict(noisy.named_parameters())[name]
        with torch.no_grad():
            weight += deviation * torch.randn(weight.shape, generator=generator)
            found.append(float(divergence(noisy)))
    assert sum(found) / len(found) == pytest.approx(predicted, rel=0.4)


def test_gptq_on_own_text_disturbs_the_model_less_than_nearest_codes():
    model = tiny_model()
    seen = calibrate(model, own_text(model, 64, 16, BOS, seed=1)).hessians
    tokens = own_text(model, 64, 16, BOS, seed=2)
    expected = F.log_softmax(model(tokens), -1)
    losses = []
    for careful in (True, False):
        quantised = tiny_model()
        with torch.no_grad():
            for name, weight in quantised.named_parameters():
                if name in seen and name != "embedding":
                    grid = clip_grid(weight.numpy(), 4)
                    one = gptq(weight.numpy(), grid, seen[name]) if careful else nearest(weight.numpy(), grid)
                    weight.copy_(torch.from_numpy(dequantize(one)))
        losses.append(float(F.kl_div(F.log_softmax(quantised(tokens), -1), expected, reduction="sum", log_target=True)))
    assert losses[0] < losses[1]
    assert math.isfinite(losses[0])

import pytest
import torch
from torch import Tensor, nn

from evaladapt.toolbox.update_rules import Adam, Muon, RmsScaled, Sgd, UpdateRule, clip_together
from evaladapt.train.muon import Muon as TrainingMuon


def walk(rule: UpdateRule, start: Tensor, gradients: list[Tensor], rate: float) -> Tensor:
    """Where plain steps of a rule lead."""
    weight, state = start.clone(), rule.start(start)
    for gradient in gradients:
        weight -= rate * rule.update(gradient.clone(), state)
    return weight


def reference(optimiser: type, start: Tensor, gradients: list[Tensor], **settings: object) -> Tensor:
    """Where torch's optimiser of the same name leads."""
    weight = nn.Parameter(start.clone())
    stepper = optimiser([weight], **settings)
    for gradient in gradients:
        weight.grad = gradient.clone()
        stepper.step()
    return weight.detach()


@pytest.fixture
def gradients() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(6, 4, generator=generator) for _ in range(5)]


@pytest.fixture
def start() -> Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_torchs(start: Tensor, gradients: list[Tensor], momentum: float) -> None:
    expected = reference(torch.optim.SGD, start, gradients, lr=0.1, momentum=momentum)
    assert torch.allclose(walk(Sgd(momentum), start, gradients, 0.1), expected, atol=1e-6)


def test_adam_is_torchs(start: Tensor, gradients: list[Tensor]) -> None:
    expected = reference(torch.optim.Adam, start, gradients, lr=0.1, betas=(0.8, 0.95), eps=1e-6)
    assert torch.allclose(walk(Adam(0.8, 0.95, 1e-6), start, gradients, 0.1), expected, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_muon_is_the_trainers(start: Tensor, gradients: list[Tensor], momentum: float) -> None:
    expected = reference(TrainingMuon, start, gradients, lr=0.1, momentum=momentum, weight_decay=0.0)
    assert torch.allclose(walk(Muon(momentum), start, gradients, 0.1), expected, atol=1e-5)


def test_rms_scaling_with_no_memory_takes_signs(start: Tensor, gradients: list[Tensor]) -> None:
    rule = RmsScaled(memory=0.0, epsilon=0.0)
    assert torch.allclose(rule.update(gradients[0], rule.start(start)), gradients[0].sign())


def test_rms_scaling_divides_by_the_root_of_the_mean_square_so_far(start: Tensor, gradients: list[Tensor]) -> None:
    rule = RmsScaled(memory=1 - 1e-6, epsilon=0.0)
    state = rule.start(start)
    updates = [rule.update(gradient, state) for gradient in gradients]
    root = torch.stack(gradients).square().mean(0).sqrt()
    assert torch.allclose(updates[-1], gradients[-1] / root, atol=2e-2)
    assert torch.allclose(rule.relative_decay(state), root / root.mean(), atol=2e-2)


def test_rows_of_an_element_wise_rule_stay_apart(start: Tensor, gradients: list[Tensor]) -> None:
    for rule in (Sgd(0.9), Adam(), RmsScaled()):
        together = walk(rule, start, gradients, 0.1)
        alone = walk(rule, start[2:3], [one[2:3] for one in gradients], 0.1)
        assert torch.allclose(together[2:3], alone, atol=1e-7)


def test_clipping_bounds_the_norm_of_all_gradients_together(gradients: list[Tensor]) -> None:
    before = torch.cat([one.flatten() for one in gradients])
    clip_together(gradients, 0.5)
    after = torch.cat([one.flatten() for one in gradients])
    assert float(after.norm()) == pytest.approx(0.5, abs=1e-4)
    assert torch.allclose(after / after.norm(), before / before.norm(), atol=1e-6)
    clip_together(gradients, 9.0)
    assert torch.allclose(torch.cat([one.flatten() for one in gradients]), after)

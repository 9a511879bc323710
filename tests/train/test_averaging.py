import torch
from torch import nn

from evaladapt.train.averaging import TightAverage, WeightAverage


def test_the_mean_follows_its_formula() -> None:
    model = nn.Linear(3, 2)
    average = WeightAverage(model, decay=0.5)
    expected = model.weight.detach().clone()
    for step in range(8):
        with torch.no_grad():
            model.weight.copy_(torch.full((2, 3), float(step)))
        average.update(1, 1.0)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert torch.allclose(average.means["weight"], expected)


def test_applied_shows_the_mean_and_gives_the_weights_back() -> None:
    model = nn.Linear(3, 2)
    average = WeightAverage(model, decay=0.9)
    with torch.no_grad():
        model.weight.add_(1.0)
    average.update(1, 1.0)
    own = model.weight.detach().clone()
    x = torch.ones(1, 3)
    with average.applied():
        assert torch.equal(model.weight, average.means["weight"])
        assert torch.equal(model(x), nn.functional.linear(x, average.means["weight"], average.means["bias"]))
    assert torch.equal(model.weight, own)
    assert not torch.equal(average.means["weight"], own)


def test_a_loaded_mean_continues_identically() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    first = WeightAverage(model, decay=0.9)
    first.update(1, 1.0)
    second = WeightAverage(nn.Linear(3, 2), decay=0.9)
    second.load(first.means, first.updates)
    assert torch.equal(second.means["weight"], first.means["weight"])
    assert second.updates == 1


def test_the_tight_mean_is_even_over_every_tenth_late_step():
    model = nn.Linear(3, 2)
    average = TightAverage(model, below=0.5)
    taken = []
    for step in range(1, 61):
        rate = 1.0 - step / 60
        with torch.no_grad():
            model.weight.copy_(torch.randn(2, 3))
        average.update(step, rate)
        if rate >= 0.5:
            assert torch.equal(average.means["weight"], model.weight)
        elif step % 10 == 0 or not taken:
            taken.append(model.weight.detach().clone())
    assert len(taken) == 4
    assert torch.allclose(average.means["weight"], torch.stack(taken).mean(dim=0), atol=1e-6)

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from tests.model.features import stirred_model
from tests.model.naive import NaiveTransformer

CONFIG = ModelConfig(vocab_size=50, layers=2, width=32, heads=4, kv_heads=2, mlp_width=64, context=16)


MODEL = stirred_model(CONFIG)


def test_logits_equal_a_written_out_reference() -> None:
    tokens = [3, 14, 15, 9, 2, 6, 5]
    weights = {name: weight.detach().double() for name, weight in MODEL.named_parameters()}
    ours = MODEL(torch.tensor([tokens]))[0].double()
    assert torch.allclose(ours, NaiveTransformer(CONFIG, weights).logits(tokens), atol=2e-4)


@settings(max_examples=30, deadline=None)
@given(changed=st.integers(1, 15), token=st.integers(0, 49), seed=st.integers(0, 1000))
def test_changing_a_token_changes_nothing_before_it(changed: int, token: int, seed: int) -> None:
    tokens = torch.randint(0, 50, (2, 16), generator=torch.Generator().manual_seed(seed))
    other = tokens.clone()
    other[:, changed] = token
    before, after = MODEL.hidden(tokens), MODEL.hidden(other)
    assert torch.equal(before[:, :changed], after[:, :changed])
    if not torch.equal(tokens, other):
        assert not torch.equal(before, after)


def test_rows_do_not_see_each_other() -> None:
    tokens = torch.randint(0, 50, (3, 16), generator=torch.Generator().manual_seed(0))
    other = tokens.clone()
    other[1:] = 7
    assert torch.equal(MODEL.hidden(tokens)[0], MODEL.hidden(other)[0])


def test_gradients_do_not_flow_from_a_position_to_a_later_token() -> None:
    model = stirred_model(CONFIG)
    tokens = torch.arange(16).unsqueeze(0)
    torch.autograd.backward(model.hidden(tokens)[0, 5].sum())
    gradient = model.embedding.grad
    assert gradient is not None
    assert torch.all(gradient[6:] == 0)
    assert torch.all(gradient[:6].abs().sum(dim=1) > 0)


def test_windows_longer_than_the_context_keep_the_earlier_states() -> None:
    tokens = torch.randint(0, 50, (1, 40), generator=torch.Generator().manual_seed(0))
    model = stirred_model(CONFIG)
    short = model.hidden(tokens[:, :16])
    assert torch.allclose(model.hidden(tokens)[:, :16], short, atol=1e-5)


def test_logits_stay_inside_the_softcap() -> None:
    logits = MODEL.head(1000 * torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.abs().max() <= CONFIG.logit_softcap
    assert logits.abs().max() > 0.9 * CONFIG.logit_softcap


def test_a_new_model_predicts_nearly_evenly_and_every_weight_gets_a_gradient_after_a_step() -> None:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    tokens = torch.randint(0, 50, (4, 17))
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        assert float(loss.detach()) == pytest.approx(math.log(50), abs=0.2)
        torch.autograd.backward(loss)
        with torch.no_grad():
            for weight in model.parameters():
                assert weight.grad is not None
                weight.sub_(0.01 * weight.grad)
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []

from dataclasses import replace

import pytest
import torch

from evaladapt.model.attention import attend
from evaladapt.model.backend import IncrementalBackend
from evaladapt.model.transformer import Transformer
from tests.model.test_transformer import CONFIG, MODEL


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(0, CONFIG.vocab_size, (rows, length), generator=torch.Generator().manual_seed(5))


def one_layer() -> Transformer:
    """Its keys and values are those of a token, whatever came before."""
    model = Transformer(replace(CONFIG, layers=1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)) * 0.3)
    return model


def in_pieces(given: torch.Tensor, sizes: list[int], width: int) -> torch.Tensor:
    cache = MODEL.start_cache(given.shape[0], width)
    return torch.cat([MODEL.extend(piece, cache) for piece in given.split(sizes, dim=1)], dim=1)


def test_the_transformer_is_incremental():
    assert isinstance(MODEL, IncrementalBackend)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [[20], [1] * 20, [12, *[1] * 8], [5, 3, 1, 7, 4]])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_row_read_in_pieces_has_the_states_of_a_row_read_at_once(sizes, rows):
    given = tokens(rows, 20)
    assert torch.allclose(in_pieces(given, sizes, 24), MODEL.hidden(given), atol=1e-5)


@torch.no_grad()
def test_the_same_calls_give_the_same_bits():
    given, sizes = tokens(1, 20), [12, *[1] * 8]
    assert torch.equal(in_pieces(given, sizes, 20), in_pieces(given, sizes, 20))


@torch.no_grad()
def test_an_earlier_state_does_not_depend_on_a_later_token():
    given = tokens(1, 20)
    changed = given.clone()
    changed[:, 15:] = (changed[:, 15:] + 1) % CONFIG.vocab_size
    sizes = [10, 5, 5]
    assert torch.equal(in_pieces(given, sizes, 20)[:, :15], in_pieces(changed, sizes, 20)[:, :15])


def test_the_last_queries_of_a_longer_row_attend_like_the_whole_row():
    generator = torch.Generator().manual_seed(2)
    q = torch.randn(2, 4, 9, 8, generator=generator)
    k, v = torch.randn(2, 2, 2, 9, 8, generator=generator)
    for new in (1, 4):
        assert torch.allclose(attend(q[:, :, -new:], k, v), attend(q, k, v)[:, :, -new:], atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(("columns", "sinks"), [(5, 0), (5, 2), (9, 3)])
def test_in_one_layer_a_row_that_forgot_is_a_row_without_what_it_forgot(columns, sinks):
    model, given = one_layer(), tokens(2, 20)
    cache = model.start_cache(2, 20)
    model.extend(given[:, :12], cache)
    model.forget(cache, columns, sinks)
    assert cache.length == 12 - columns
    left = torch.cat([given[:, :sinks], given[:, sinks + columns :]], dim=1)
    assert torch.allclose(model.extend(given[:, 12:], cache), model.hidden(left)[:, 12 - columns :], atol=1e-5)


@torch.no_grad()
def test_forgetting_in_steps_is_forgetting_at_once():
    given, states = tokens(1, 20), []
    for steps in ([6], [1, 2, 3]):
        cache = MODEL.start_cache(1, 20)
        MODEL.extend(given[:, :14], cache)
        for step in steps:
            MODEL.forget(cache, step, 4)
        states.append(MODEL.extend(given[:, 14:], cache))
    assert torch.allclose(*states, atol=1e-5)


def test_a_cache_knows_how_far_it_is_filled():
    cache = MODEL.start_cache(2, 24)
    assert cache.length == 0
    MODEL.extend(tokens(2, 7), cache)
    MODEL.extend(tokens(2, 1), cache)
    assert cache.length == 8

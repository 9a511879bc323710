import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.contract.rng import Rng
from evaladapt.system.generators import seed_of


def draw(*key):
    return torch.rand(4, generator=Rng(0, "x").generator(*key)).tolist()


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_number_is_one_key_whoever_holds_it(number):
    assert draw(number) == draw(np.int64(number)) == draw(torch.tensor(number))
    assert draw("at", number) == draw("at", np.int32(number))


def test_other_keys_draw_otherwise():
    keys = [(), (3,), ("3",), (3, 3), ("a", "b"), ("a, b",), (("a", "b"),)]
    assert len({seed_of(*key) for key in keys}) == len(keys)


def test_seeds_have_not_changed():
    """Scores drawn with them stand in READMEs."""
    assert seed_of(0, "ttt", (5, "a")) == 14525216238463451186


def test_a_number_with_a_fraction_is_no_key():
    with pytest.raises(TypeError):
        seed_of(0.5)

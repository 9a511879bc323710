import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.audit.text import copy_of, others, plain_text, rewritten
from tests.tiny import BOS, random_stream, stream_of


@given(st.lists(st.lists(st.integers(2, 9), max_size=8), min_size=1, max_size=4), st.integers(0, 40), st.integers(0, 9))
def test_a_rewritten_text_differs_in_every_token_from_there_on_and_in_no_boundary(documents, first, seed):
    stream = stream_of(*documents)
    first = min(first, stream.targets)
    text = rewritten(stream, first, np.random.default_rng(seed))
    assert np.array_equal(text.tokens[:first], stream.tokens[:first])
    assert np.array_equal(text.documents, stream.documents)
    is_bos = stream.tokens == BOS
    assert (text.tokens[is_bos] == BOS).all()
    changed = text.tokens[first:] != stream.tokens[first:]
    ordinary = {token for document in documents for token in document}
    assert (changed == (~is_bos[first:] if len(ordinary) > 1 else False)).all()
    assert set(text.tokens.tolist()) <= ordinary | {BOS}


def test_others_are_drawn_from_a_seed():
    stream = random_stream()
    first, again = (others(stream, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, others(stream, np.random.default_rng(4)))


def test_a_copy_has_tokens_of_its_own():
    stream = random_stream()
    copy_of(stream).tokens[3] = 0
    assert stream.tokens[3] != 0


def test_a_plain_text_is_one_document_with_bos_before_it():
    text = plain_text(np.array([4, 5], dtype=np.int32), BOS)
    assert (text.tokens.tolist(), text.documents.tolist(), text.targets) == ([BOS, 4, 5], [0, 0, 0], 2)

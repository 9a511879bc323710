import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.toolbox.byte_counts import NO_TEXT, ByteCounts, ByteTrie

VOCABULARY = (b"a", b"ab", b"b", b"ba", b"bab", b"c", b"", b" c")
ORDER = 3


def contexts(*rows):
    padded = [row[-ORDER:].rjust(ORDER, NO_TEXT) for row in rows]
    return np.frombuffer(b"".join(padded), dtype=np.uint8).reshape(len(rows), ORDER)


def plain_byte(text, context, byte):
    """The back-off by its definition, from a scan of the text; contexts of at most ``ORDER`` bytes."""
    prob = 1 / 256
    padded = NO_TEXT * ORDER + text
    for m in range(ORDER + 1):
        following = [
            padded[at] for at in range(ORDER, len(padded)) if padded[at - m : at] == (context[-m:] if m else b"")
        ]
        if following:
            variety = len(set(following))
            prob = (following.count(byte) + variety * prob) / (len(following) + variety)
    return prob


def plain_tokens(text, context):
    products = []
    for token in VOCABULARY:
        prob, before = 1.0, context.rjust(ORDER, NO_TEXT)
        for byte in token or NO_TEXT:
            prob *= plain_byte(text, before[-ORDER:], byte)
            before += bytes([byte])
        products.append(prob)
    return np.array(products) / sum(products)


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(VOCABULARY), max_size=30), rest=st.lists(st.sampled_from(VOCABULARY), max_size=5)
)
def test_the_tables_give_what_a_scan_of_the_text_gives(pieces, rest):
    counts, text = ByteCounts(ORDER, 16), b""
    for piece in (b"".join(pieces), b"".join(rest)):
        counts.add(piece, NO_TEXT * ORDER + text)
        text += piece
    asked = [b"", b"ab", text[-ORDER:]]
    found = counts.token_logprobs(ByteTrie(VOCABULARY), contexts(*asked))
    for row, context in zip(found, asked, strict=True):
        assert np.exp(row) == pytest.approx(plain_tokens(text, context), rel=1e-3)


def test_tables_so_small_that_contexts_collide_still_give_distributions():
    counts = ByteCounts(ORDER, 2)
    counts.add(b"abbabcab abc" * 4, b"")
    rows = counts.token_logprobs(ByteTrie(VOCABULARY), contexts(b"ab", b"c", b"zz"))
    assert np.isfinite(rows).all()
    assert np.exp(rows).sum(axis=1) == pytest.approx([1.0] * 3, abs=1e-5)


def test_tokens_of_equal_bytes_are_equally_likely():
    counts = ByteCounts(ORDER, 12)
    counts.add(b"xyxyxy", b"")
    row = counts.token_logprobs(ByteTrie((b"x", b"y", b"x", b"", b"")), contexts(b"y"))[0]
    assert row[0] == row[2]
    assert row[3] == row[4]
    assert row[0] > row[1] > row[3]


def test_the_state_is_all_there_is():
    first, second = ByteCounts(ORDER, 10), ByteCounts(ORDER, 10)
    first.add(b"abcabc", b"")
    second.load_state(first.state())
    trie = ByteTrie(VOCABULARY)
    assert np.array_equal(first.token_logprobs(trie, contexts(b"ab")), second.token_logprobs(trie, contexts(b"ab")))

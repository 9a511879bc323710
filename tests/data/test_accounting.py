from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.data.accounting import byte_lengths
from evaladapt.data.text import read_documents
from evaladapt.data.tokenizer import Tokenizer
from tests.data.contest_rule import contest_byte_lengths
from tests.data.models import other_tokenizer

texts = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.text(alphabet=" a▁\n"), max_size=4)


def tokens_of(documents: list[str], tokenizer: Tokenizer) -> np.ndarray:
    bos = np.array([tokenizer.bos_id], dtype=np.int32)
    return np.concatenate([bos, *(part for text in documents for part in (tokenizer.encode(text), bos))])


@given(documents=texts)
def test_lengths_sum_to_the_text(tokenizer: Tokenizer, documents: list[str]) -> None:
    lengths = byte_lengths(tokens_of(documents, tokenizer), tokenizer)
    assert lengths.dtype == np.int32
    assert int(lengths.sum()) == sum(len(text.encode()) for text in documents)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalization_rule_name": "identity", "remove_extra_whitespaces": False},
        {"add_dummy_prefix": False},
    ],
    ids=["dummy prefix and trimming", "dummy prefix only", "trimming only"],
)
def test_spaces_that_decoding_drops_are_worth_nothing(options: dict[str, object]) -> None:
    other = other_tokenizer(**options)
    documents = ["the cat", "  the cat  sat", "", " ", "dog\u00e9"]
    tokens = tokens_of(documents, other)
    decoded = [other.decode_bytes(other.encode(text)) for text in documents]
    assert int(byte_lengths(tokens, other).sum()) == sum(map(len, decoded))


def test_stray_leading_spaces_before_trimmed_text_are_all_dropped() -> None:
    other = other_tokenizer(add_dummy_prefix=False)
    space, word = other.pieces.index("\u2581"), other.encode("the")
    tokens = np.concatenate([[other.bos_id, space, space], word, [other.bos_id, space]]).astype(np.int32)
    assert byte_lengths(tokens, other).tolist() == [0, 0, 0, 3, 0, 0][: len(tokens)]


def test_a_byte_piece_is_one_byte_not_the_replacement_character(tokenizer: Tokenizer) -> None:
    tokens = tokens_of(["\u4e2d"], tokenizer)
    assert byte_lengths(tokens, tokenizer).tolist() == [0, 1, 1, 1, 0]


def test_the_space_of_a_word_is_counted_once(tokenizer: Tokenizer) -> None:
    tokens = tokens_of(["a the the"], tokenizer)
    assert int(contest_byte_lengths(tokens, tokenizer).sum()) == 9
    assert byte_lengths(tokens, tokenizer).tolist() == contest_byte_lengths(tokens, tokenizer).tolist()


def test_the_rules_differ_on_a_space_after_bos(tokenizer: Tokenizer) -> None:
    tokens = tokens_of([" the"], tokenizer)
    own, contest = byte_lengths(tokens, tokenizer), contest_byte_lengths(tokens, tokenizer)
    assert (own.sum(), contest.sum()) == (4, 3)
    assert np.flatnonzero(own != contest).tolist() == [1]


def test_the_rules_differ_on_a_run_of_spaces(tokenizer: Tokenizer) -> None:
    run = next(index for index, piece in enumerate(tokenizer.piece_bytes) if len(piece) > 1 and not piece.strip(b" "))
    width = len(tokenizer.piece_bytes[run])
    tokens = np.array([tokenizer.bos_id, tokenizer.encode("a")[0], run], dtype=np.int32)
    assert byte_lengths(tokens, tokenizer)[2] == width
    assert contest_byte_lengths(tokens, tokenizer)[2] == 1 + 3 * (width - 1)


def test_both_rules_agree_on_the_contest_text(data: Path, contest_tokenizer: Tokenizer) -> None:
    documents = read_documents(data / "fineweb" / "val_docs_first450.jsonl")[:40]
    tokens = tokens_of(documents, contest_tokenizer)
    own = byte_lengths(tokens, contest_tokenizer)
    assert own.tolist() == contest_byte_lengths(tokens, contest_tokenizer).tolist()
    assert own.sum() == sum(len(text.encode()) for text in documents)

import io
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.codec.problems import CodecError
from evaladapt.codec.text import Spelling, blank_text, bytes_from_tokens, text_from_bytes, text_from_stream
from evaladapt.data.building import stream_from_documents
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer, train_tokenizer

TOKENIZER = train_tokenizer(["Some words, and some words more.\n" * 20], 300)
CONTEST = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tokenizers" / "fineweb_1024_bpe.model"
AWKWARD = ["Two  spaces, \r\n and a ﬁ.", " led by a space", "\t", "", "as it is written."]


def rewriting_tokenizer():
    """One that normalises characters, joins spaces and puts one in front, as sentencepiece does by default."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["some words, and some words more. it is written."] * 20), model_writer=model,
        model_type="bpe", vocab_size=300, byte_fallback=True, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return SentencePieceTokenizer(model.getvalue())


def round_trip(content, tokenizer=TOKENIZER):
    text = text_from_bytes(content, tokenizer, "x")
    assert text.tokens[0] == tokenizer.bos_id
    assert bytes_from_tokens(text, len(text.tokens), tokenizer) == content
    return text


@given(st.binary(max_size=200))
def test_any_bytes_come_back(content):
    round_trip(content)


@given(st.text(max_size=100))
def test_any_text_comes_back_in_the_tokenizers_own_tokens(given_text):
    text = round_trip(given_text.encode())
    assert text.spelling == Spelling.TOKENIZER
    assert text.tokens[1:].tolist() == TOKENIZER.encode(given_text).tolist()


def test_bytes_that_are_no_utf8_cost_a_token_each_and_the_words_around_them_nothing_more():
    words = b"some words, and some words more."
    text = round_trip(words + b"\xff\xfe" + words)
    assert text.spelling == Spelling.PIECES
    assert text.targets == 2 * len(TOKENIZER.encode(words.decode())) + 2


@pytest.mark.skipif(not CONTEST.exists(), reason=f"needs the contest's tokenizer at {CONTEST}")
@pytest.mark.parametrize("content", AWKWARD)
def test_text_that_the_contests_tokenizer_would_rewrite_comes_back_all_the_same(content):
    round_trip(content.encode(), SentencePieceTokenizer.load(CONTEST))
    round_trip(content.encode() + b"\xff", SentencePieceTokenizer.load(CONTEST))


def test_text_that_a_tokenizer_would_rewrite_comes_back_all_the_same():
    tokenizer = rewriting_tokenizer()
    spelled = []
    for content in AWKWARD:
        spelled.append(round_trip(content.encode(), tokenizer).spelling)
        round_trip(content.encode() + b"\xff", tokenizer)
    assert set(spelled) == set(Spelling)


def test_a_tokenizer_without_byte_pieces_is_told_apart(monkeypatch):
    tokenizer = SentencePieceTokenizer(TOKENIZER.model_bytes)
    monkeypatch.setattr(tokenizer, "byte_piece_ids", frozenset(), raising=False)
    with pytest.raises(CodecError, match="byte_fallback"):
        text_from_bytes(b"\xff", tokenizer, "x")


def test_documents_of_a_stream_are_joined_and_their_starts_kept():
    stream = stream_from_documents(["some words", "", "more"], TOKENIZER, "x")
    text = text_from_stream(stream, TOKENIZER)
    assert text.content == b"some wordsmore"
    blank = blank_text(text.targets, text.document_starts, text.spelling, TOKENIZER.bos_id)
    assert np.array_equal(blank.documents, text.documents)
    starts = text.document_starts
    assert (blank.tokens[starts] == TOKENIZER.bos_id).all()
    assert (np.delete(blank.tokens, starts) == -1).all()
    assert bytes_from_tokens(text, len(text.tokens), TOKENIZER) == text.content

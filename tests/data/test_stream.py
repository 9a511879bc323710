from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.data.building import stream_from_documents
from evaladapt.data.stream import TokenStream, documents_from_tokens, hash_documents, stream_from_tokens
from evaladapt.data.text import read_documents
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import DataError, UsageError
from tests.data.models import other_tokenizer

texts = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5).filter(any)


@given(documents=texts)
def test_a_stream_holds_the_documents_and_their_bytes(tokenizer: Tokenizer, documents: list[str]) -> None:
    stream = stream_from_documents(documents, tokenizer, "made")
    raw = [text.encode() for text in documents]
    assert list(documents_from_tokens(stream.tokens, tokenizer)) == raw
    assert stream.text_bytes == stream.raw_bytes == int(stream.byte_lengths.sum()) == sum(map(len, raw))
    assert stream.text_sha256 == hash_documents(raw)
    assert stream.sha256 == hashlib.sha256(stream.tokens.tobytes()).hexdigest()
    assert stream.n_documents == len(documents)
    assert stream.targets == len(stream.tokens) - 1
    starts = np.flatnonzero(stream.tokens == tokenizer.bos_id)
    assert stream.documents[starts].tolist() == list(range(len(documents)))
    assert {stream.tokens.dtype, stream.byte_lengths.dtype, stream.documents.dtype} == {np.dtype(np.int32)}


@given(documents=texts, share=st.floats(0, 1))
def test_a_cut_stream_is_the_stream_of_its_tokens(tokenizer: Tokenizer, documents: list[str], share: float) -> None:
    stream = stream_from_documents(documents, tokenizer, "made")
    first_with_text = int(np.argmax(stream.byte_lengths > 0))
    targets = max(first_with_text, int(share * stream.targets))
    cut = stream.limit(targets)
    assert cut.targets == targets
    assert cut.tokens.tolist() == stream.tokens[: targets + 1].tolist()
    assert cut.byte_lengths.tolist() == stream.byte_lengths[: targets + 1].tolist()
    assert cut.documents.tolist() == stream.documents[: targets + 1].tolist()
    assert cut.text_bytes == int(cut.byte_lengths.sum())
    assert (cut is stream) == (targets == stream.targets)


def test_limits_below_one_and_streams_without_tokenizer_are_refused(tokenizer: Tokenizer) -> None:
    stream = stream_from_documents(["some text"], tokenizer, "made")
    with pytest.raises(UsageError, match="--limit-tokens 0"):
        stream.limit(0)
    bare = TokenStream(stream.tokens, stream.byte_lengths, stream.documents, "bare", "", "", stream.text_bytes)
    with pytest.raises(DataError, match="without its tokenizer"):
        bare.limit(1)


def test_moving_a_document_boundary_changes_the_text_hash(tokenizer: Tokenizer) -> None:
    one = stream_from_documents(["ab", "c"], tokenizer, "made")
    other = stream_from_documents(["a", "bc"], tokenizer, "made")
    assert one.text_bytes == other.text_bytes
    assert one.text_sha256 != other.text_sha256


def test_wrong_byte_counts_are_refused() -> None:
    ones = np.ones(3, dtype=np.int32)
    with pytest.raises(DataError, match="the tokens count 3 bytes, the text has 4"):
        TokenStream(ones, ones, ones * 0, "made", "", "", 4)
    with pytest.raises(DataError, match="differ in length"):
        TokenStream(ones, ones[:2], ones * 0, "made", "", "", 2)


@pytest.mark.parametrize("documents", [[], [""], ["", ""]])
def test_no_text_is_refused(tokenizer: Tokenizer, documents: list[str]) -> None:
    with pytest.raises(DataError, match="holds no text"):
        stream_from_documents(documents, tokenizer, "made")


def test_bos_is_put_first_where_it_is_missing(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("text")
    stream = stream_from_tokens(ids, tokenizer, "made")
    assert stream.tokens.tolist() == [tokenizer.bos_id, *ids]
    with pytest.raises(DataError, match="no token to score"):
        stream_from_tokens(ids[:0], tokenizer, "made")


def test_a_tokenizer_that_rewrites_the_text_is_refused_unless_the_text_survives() -> None:
    other = other_tokenizer()
    with pytest.raises(
        DataError, match=r"made, document 2.*at character 4: the text has ' sat', the tokens give 'sat'"
    ):
        stream_from_documents(["the cat", "cat  sat"], other, "made")
    assert stream_from_documents(["the cat"], other, "made").text_bytes == 7
    rewritten = stream_from_documents(["cat  sat"], other, "made", allow_normalised=True)
    assert (rewritten.text_bytes, rewritten.raw_bytes) == (7, 8)


def test_the_contest_text_survives_the_contest_tokenizer(data: Path, contest_tokenizer: Tokenizer) -> None:
    documents = read_documents(data / "fineweb" / "val_docs_first450.jsonl")[:40]
    stream = stream_from_documents(documents, contest_tokenizer, "fineweb")
    assert stream.text_bytes == sum(len(text.encode()) for text in documents)


def test_web_text_does_not_survive_the_contest_tokenizer(data: Path, contest_tokenizer: Tokenizer) -> None:
    documents = read_documents(data / "text" / "c4_sample.jsonl")[:1]
    with pytest.raises(DataError, match="c4, document 1: the tokenizer rewrites the text"):
        stream_from_documents(documents, contest_tokenizer, "c4")

"""Documents into a stream: as far as is needed, each worked on once, in little memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.data.building import stream_from_documents
from evaladapt.data.load import load_stream, remarks
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.data.tokenizers import sentencepiece
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.errors import DataError
from tests.data.models import other_tokenizer

texts = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5).filter(any)
BYTES_A_BYTE = 12


def assert_equal(one: TokenStream, other: TokenStream) -> None:
    for name in (field.name for field in fields(TokenStream) if field.name not in ("tokenizer", "sources")):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def lines(path: Path, documents: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents), encoding="utf-8")
    return path


@given(documents=texts, share=st.floats(0, 1), rewrites=st.booleans())
def test_a_limited_stream_is_the_beginning_of_the_whole(
    tokenizer: Tokenizer, documents: list[str], share: float, rewrites: bool
) -> None:
    whole = stream_from_documents(documents, tokenizer, "made", allow_normalised=rewrites)
    targets = max(int(np.argmax(whole.byte_lengths > 0)), int(share * whole.targets))
    limited = stream_from_documents(documents, tokenizer, "made", limit=targets, allow_normalised=rewrites)
    assert_equal(limited, whole.limit(targets))
    assert limited.limited == (targets < whole.targets)


def test_a_tokenizer_that_needs_the_whole_document_is_limited_too() -> None:
    other = other_tokenizer()
    documents = ["the cat sat on the mat", "the dog ran to the cat"]
    whole = stream_from_documents(documents, other, "made")
    for targets in range(1, whole.targets + 2):
        assert_equal(stream_from_documents(documents, other, "made", limit=targets), whole.limit(targets))


class Counting(SentencePieceTokenizer):
    """Counts the characters it encodes and the tokens it decodes."""

    encoded = decoded = 0

    def encode(self, text: str) -> TokenIds:
        self.encoded += len(text)
        return super().encode(text)

    def decode_bytes(self, ids: TokenIds) -> bytes:  # type: ignore[override]
        self.decoded += len(ids)
        return super().decode_bytes(ids)


@pytest.fixture
def counting(tokenizer: SentencePieceTokenizer) -> Counting:
    counting = Counting(tokenizer.model_bytes)
    assert counting.lossless
    counting.encoded = counting.decoded = 0
    return counting


def test_every_document_is_encoded_once_and_decoded_once(counting: Counting, tmp_path: Path) -> None:
    documents = ["some words and more words. " * 9, "", "数 is a sign\n" * 5]
    stream = load_stream([lines(tmp_path / "a.jsonl", documents)], counting)
    assert counting.encoded == sum(map(len, documents))
    assert counting.decoded == stream.targets - stream.n_documents + 1


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt"])
def test_a_limit_reads_and_encodes_no_more_than_it_needs(counting: Counting, tmp_path: Path, name: str) -> None:
    sentence = "A sentence of the text that nobody needs to read. "
    text = sentence * 40_000
    path = tmp_path / name
    if name == "a.jsonl":
        lines(path, [sentence] * 40_000)
        path.write_bytes(path.read_bytes() + b"no JSON at all")
    else:
        path.write_bytes(text.encode() + b"\xff no UTF-8 at all")
    stream = load_stream([path, tmp_path / "there is no such file"], counting, limit_tokens=100)
    assert stream.targets == 100
    assert stream.limited
    assert counting.encoded <= 2 * sentencepiece.CHUNK_CHARS
    assert counting.decoded <= 3 * sentencepiece.CHUNK_CHARS


def text_of(megabytes: float, sentence: str) -> str:
    return sentence * int(megabytes * 1_000_000 / len(sentence.encode()))


@pytest.mark.parametrize(
    "sentence",
    ["A sentence of the text, and one more.\n", "one line of words without an end ", "schöne grüne Bäume 🙂 "],
    ids=["lines", "one line", "wide characters"],
)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_long_document_takes_at_most_twelve_bytes_a_byte(
    tokenizer: Tokenizer, tmp_path: Path, sentence: str, name: str
) -> None:
    text = text_of(2, sentence)
    path = tmp_path / name
    if name == "a.txt":
        path.write_text(text, encoding="utf-8")
    else:
        path.write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-8")
    size = len(text.encode())
    del text
    load_stream([path], tokenizer, limit_tokens=10)
    tracemalloc.start()
    try:
        stream = load_stream([path], tokenizer)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stream.text_bytes == size
    assert peak <= BYTES_A_BYTE * size


def test_many_tiny_documents_take_no_more(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [f"tiny document number {number}" for number in range(20_000)])
    load_stream([path], tokenizer, limit_tokens=10)
    tracemalloc.start()
    try:
        stream = load_stream([path], tokenizer)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stream.n_documents == 20_000
    assert peak <= BYTES_A_BYTE * stream.text_bytes


def test_several_files_say_what_came_from_where(tokenizer: Tokenizer, tmp_path: Path) -> None:
    one = lines(tmp_path / "one.jsonl", ["ab", "", "cde"])
    two = tmp_path / "two.txt"
    two.write_bytes(b"\xef\xbb\xbfxyz")
    stream = load_stream([one, two], tokenizer)
    assert [(s.name, s.first_document, s.documents, s.text_bytes, s.empty) for s in stream.sources] == [
        ("one.jsonl", 0, 2, 5, 1),
        ("two.txt", 2, 1, 6, 0),
    ]
    said = remarks(stream)
    assert said[:2] == ["one.jsonl: 2 documents, 5 bytes", "two.txt: 1 documents, 6 bytes"]
    assert "one.jsonl: 1 empty documents were left out" in said
    assert any("two.txt starts with a byte order mark" in line for line in said)
    cut = stream.limit(stream.targets - 1)
    assert [(s.name, s.documents) for s in cut.sources] == [("one.jsonl", 2), ("two.txt", 1)]
    assert sum(s.text_bytes for s in cut.sources) == cut.text_bytes
    assert remarks(load_stream([one.rename(tmp_path / "three.jsonl")], tokenizer)) == [
        "three.jsonl: 1 empty documents were left out"
    ]


def test_a_limit_inside_empty_documents_is_a_data_error(tokenizer: Tokenizer) -> None:
    documents = ["", "", "", "text"]
    with pytest.raises(DataError, match=r"first 2 targets of made hold no text.*Raise --limit-tokens"):
        stream_from_documents(documents, tokenizer, "made", limit=2)
    with pytest.raises(DataError, match="Text begins at target 4: --limit-tokens 4"):
        stream_from_documents(documents, tokenizer, "made").limit(2)


def test_blocks_are_read_only_as_they_are_needed(tokenizer: Tokenizer) -> None:
    read: list[int] = []

    def blocks() -> Iterator[str]:
        for number in range(1000):
            read.append(number)
            yield "words and more words " * 500

    first = next(iter(tokenizer.chunks(blocks())))
    assert len(first) <= sentencepiece.CHUNK_CHARS
    assert len(read) < 12


@given(
    text=st.text(alphabet="ab \n▁é数", max_size=300),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    chunk=st.integers(2, 30),
)
def test_chunks_depend_on_no_block_and_change_no_token(
    tokenizer: SentencePieceTokenizer, text: str, sizes: list[int], chunk: int
) -> None:
    blocks, at = [], 0
    while at < len(text):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(text[at : at + size])
        at += size
    whole = tokenizer.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentencepiece, "CHUNK_CHARS", chunk)
        chunks = list(tokenizer.chunks(blocks))
        assert chunks == list(tokenizer.chunks([text]))
    assert "".join(chunks) == text
    assert [i for part in chunks for i in tokenizer.encode(part).tolist()] == whole.tolist()

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.data.building import stream_from_documents
from evaladapt.data.shard_stream import stream_from_shards
from evaladapt.data.shards import HEADER_BYTES, read_shard, read_shards, write_shard, write_shards
from evaladapt.data.text import read_documents
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.errors import DataError


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write_shard(tmp_path / "train_000000.bin", np.array([1, 5, 6, 1, 7], dtype=np.int32)).path


@given(tokens=st.lists(st.integers(0, 65535), min_size=1, max_size=50))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, tokens: list[int]) -> None:
    path = tmp_path_factory.mktemp("shards") / "a.bin"
    assert write_shard(path, np.array(tokens, dtype=np.int32)).tokens == len(tokens)
    assert path.stat().st_size == HEADER_BYTES + 2 * len(tokens)
    assert read_shard(path, 65536).tolist() == tokens


def test_every_damaged_header_byte_is_one_data_error(shard: Path) -> None:
    whole = shard.read_bytes()
    for position in range(HEADER_BYTES):
        shard.write_bytes(whole[:position] + bytes([whole[position] ^ 0x40]) + whole[position + 1 :])
        with pytest.raises(DataError):
            read_shard(shard, 8)


def test_every_truncation_is_one_data_error(shard: Path) -> None:
    whole = shard.read_bytes()
    for length in range(len(whole)):
        shard.write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_shard(shard, 8)
    shard.write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="longer than its header says"):
        read_shard(shard, 8)


def test_a_header_that_promises_nothing_is_refused(shard: Path) -> None:
    head = np.frombuffer(shard.read_bytes()[:HEADER_BYTES], dtype="<i4").copy()
    for count in (0, -1, -(2**31)):
        head[2] = count
        shard.write_bytes(head.tobytes())
        with pytest.raises(DataError):
            read_shard(shard, 8)


def test_a_missing_shard_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="evaladapt data prepare"):
        read_shard(tmp_path / "train_000000.bin", 8)
    with pytest.raises(DataError, match="No shards given"):
        list(read_shards([], 8))


def test_an_id_outside_the_vocabulary_names_the_likely_cause(shard: Path) -> None:
    with pytest.raises(DataError, match=r"wrong tokenizer for the shards\. They hold token id 7, .* has 7 pieces"):
        read_shard(shard, 7)
    (shard.parent / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match=r"the tokenizer that .*manifest\.json names"):
        read_shard(shard, 7)


def test_a_missing_bos_is_a_wrong_tokenizer(shard: Path) -> None:
    with pytest.raises(DataError, match=r"BOS \(id 2\) does not occur"):
        read_shard(shard, 8, expect_bos=2)


def test_ids_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    for bad in (-1, 65536):
        with pytest.raises(DataError, match="does not fit 16 bits"):
            write_shard(tmp_path / "a.bin", np.array([1, bad]))
    assert not list(tmp_path.iterdir())


def test_documents_are_not_cut_between_shards(tmp_path: Path) -> None:
    documents = [np.array(ids) for ids in ([1, 2, 3], [1, 4], [1, 5], [1, 6, 7], [1])]
    shards = write_shards(tmp_path, "val", documents, shard_tokens=4)
    assert [shard.tokens for shard in shards] == [5, 5, 1]
    assert [shard.path.name for shard in shards] == ["val_000000.bin", "val_000001.bin", "val_000002.bin"]
    read = np.concatenate(list(read_shards([shard.path for shard in shards], 8)))
    assert read.tolist() == np.concatenate(documents).tolist()


def test_a_stream_from_shards_is_the_stream_from_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    documents = ["one text\n", "another, \u4e2d", "third"]
    from_text = stream_from_documents(documents, tokenizer, "made")
    shards = write_shards(tmp_path, "val", np.split(from_text.tokens, [4]), shard_tokens=1)
    from_shards = stream_from_shards([shard.path for shard in shards], tokenizer)
    assert from_shards.sha256 == from_text.sha256
    assert from_shards.text_sha256 == from_text.text_sha256
    assert from_shards.name == "val_000000.bin, val_000001.bin"


def test_a_shard_that_ends_inside_a_character_is_read(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokens = np.concatenate([[tokenizer.bos_id], tokenizer.encode("a\u4e2d")[:-1]])
    stream = stream_from_shards([write_shard(tmp_path / "val.bin", tokens).path], tokenizer)
    assert stream.text_bytes == 3


def test_tokens_that_the_tokenizer_cannot_have_written_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    bos, byte = tokenizer.bos_id, tokenizer.piece_bytes.index(b"\xff")
    broken = write_shard(tmp_path / "broken.bin", np.array([bos, byte, bos, byte])).path
    with pytest.raises(DataError, match="wrong tokenizer for the shards: document 1 does not decode"):
        stream_from_shards([broken], tokenizer)
    unknown = write_shard(tmp_path / "unknown.bin", np.array([bos, 0])).path
    with pytest.raises(DataError, match="control or unknown ids"):
        stream_from_shards([unknown], tokenizer)
    low = write_shard(tmp_path / "low.bin", np.tile([bos, 100], 20 * tokenizer.vocab_size)).path
    with pytest.raises(DataError, match="the highest id is 100"):
        stream_from_shards([low], tokenizer)


def test_the_contest_shard_is_the_contest_text(data: Path, contest_tokenizer: Tokenizer) -> None:
    shard = data / "fineweb" / "fineweb_val_000000.bin"
    stream = stream_from_shards([shard], contest_tokenizer)
    documents = read_documents(data / "fineweb" / "val_docs_first450.jsonl")
    assert stream.targets == 504_572
    assert stream.text_sha256 == stream_from_documents(documents, contest_tokenizer, "text").text_sha256
    with pytest.raises(DataError, match="wrong tokenizer"):
        stream_from_shards([shard], SentencePieceTokenizer.load(data / "tokenizers" / "fineweb_8192_bpe.model"))

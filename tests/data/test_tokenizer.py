from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.data.default_text import default_documents
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers import sentencepiece as tokenizer_module
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer, train_tokenizer
from evaladapt.errors import DataError
from tests.data.models import other_tokenizer

any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
awkward = st.text(alphabet=list(" \n\r\t\0▁<>/s0xAunk\ufeff\ufffd⁇\u0301é😀a."))

AWKWARD = [
    "",
    "\0",
    "\r\n\t",
    "▁",
    " ▁ ▁▁a",
    "<s><unk><0x41></s>",
    "\n\n",
    "👩‍👩‍👧",
    "\ufeffx",
    "\ufffd",
    "   lead",
    "trail   ",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_come_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=any_text | awkward)
def test_any_text_comes_back_and_its_bytes_add_up(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids) == text
    assert sum(len(tokenizer.piece_bytes[i]) for i in ids) == len(text.encode())


@given(text=any_text | awkward)
def test_text_never_becomes_a_control_token(tokenizer: Tokenizer, text: str) -> None:
    assert not tokenizer.special_ids & set(tokenizer.encode(text).tolist())


@given(text=awkward)
def test_cutting_long_texts_does_not_change_their_tokens(tokenizer: Tokenizer, text: str) -> None:
    text = text.replace("▁", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer_module, "CHUNK_CHARS", 3)
        cut = tokenizer.encode(text)
    assert cut.tolist() == tokenizer.encode(text).tolist()


def test_byte_pieces_are_one_byte_and_control_pieces_none(tokenizer: Tokenizer) -> None:
    assert {tokenizer.piece_bytes[i] for i in tokenizer.byte_piece_ids} == {bytes([value]) for value in range(256)}
    assert tokenizer.piece_bytes[tokenizer.bos_id] == b""


def test_a_line_break_is_one_token_of_its_own(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a\n\nb")
    assert len(ids) == 4
    assert ids[1] == ids[2] not in tokenizer.byte_piece_ids


def test_training_is_repeatable(tokenizer: Tokenizer) -> None:
    again = train_tokenizer(default_documents()[:8], 400)
    assert again.model_bytes == tokenizer.model_bytes
    assert again.sha256 == tokenizer.sha256
    assert again.vocab_size == 400


def test_our_tokenizer_is_lossless_and_others_are_not(tokenizer: Tokenizer) -> None:
    assert tokenizer.lossless
    assert not other_tokenizer().lossless
    identity = {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False}
    assert other_tokenizer(**identity).lossless
    assert not other_tokenizer(**identity, byte_fallback=False, vocab_size=40).lossless
    assert not other_tokenizer(**(identity | {"add_dummy_prefix": True})).lossless
    assert not other_tokenizer(**(identity | {"remove_extra_whitespaces": True})).lossless
    assert not other_tokenizer(**(identity | {"normalization_rule_name": "nfkc"})).lossless


def test_contest_tokenizers_are_not_lossless(data: Path) -> None:
    for name in ("fineweb_1024_bpe.model", "fineweb_8192_bpe.model"):
        assert not SentencePieceTokenizer.load(data / "tokenizers" / name).lossless


@pytest.mark.parametrize("bytes_", [b"garbage", b"", b"\x0a", b"\xff" * 40])
def test_a_file_that_is_no_model_is_a_data_error(tmp_path: Path, bytes_: bytes) -> None:
    with pytest.raises(DataError):
        SentencePieceTokenizer(bytes_)
    (tmp_path / "t.model").write_bytes(bytes_)
    with pytest.raises(DataError, match=r"t\.model"):
        SentencePieceTokenizer.load(tmp_path / "t.model")


def test_a_model_without_bos_is_refused() -> None:
    with pytest.raises(DataError, match="no BOS"):
        other_tokenizer(bos_id=-1)


def test_a_lone_surrogate_is_a_data_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="surrogate at character 1"):
        tokenizer.encode("a\ud800")


def test_too_little_text_for_the_vocabulary_is_a_data_error() -> None:
    with pytest.raises(DataError, match="5000 pieces"):
        train_tokenizer(["abc"], 5000)


def test_a_tokenizer_without_a_piece_for_the_space_is_not_lossless() -> None:
    identity = {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False}
    words = "thecatsatonthematandthedog" * 3
    spaceless = other_tokenizer(words, **identity, vocab_size=280)
    assert "▁" not in spaceless.pieces
    assert not spaceless.lossless

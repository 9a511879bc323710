"""Tokenizers of the Hugging Face kind, trained on a few words by the package itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.data.accounting import byte_lengths
from evaladapt.data.building import stream_from_documents
from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.data.tokenizers.trial import first_changed
from evaladapt.errors import DataError

tokenizers = pytest.importorskip("tokenizers", reason="the extra hf is not installed")

from evaladapt.data.tokenizers.huggingface import HuggingFaceTokenizer  # noqa: E402

WORDS = ["the cat sat on the mat", "  and the dog\n\nran to 1,000 cats", "été naïve 😀 the end"] * 3
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.text(alphabet=list(" \n\tate▁Ġ<s>|\u0301😀\0"))


def byte_level(**changes):
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=changes.get("add_prefix_space", False))
    model.decoder = tokenizers.decoders.ByteLevel()
    if "normalizer" in changes:
        model.normalizer = changes["normalizer"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet() if changes.get("every_byte", True) else []
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator(WORDS, trainer)
    return model.to_str().encode()


def metaspace(scheme="first", bytes_too=True):
    """As Llama 2 and stories260K have it."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    model.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            *([] if scheme == "never" else [tokenizers.decoders.Strip(" ", 1, 0)]),
        ]
    )
    pieces = [f"<0x{value:02X}>" for value in range(256)] if bytes_too else []
    special = ["<s>"]
    model.train_from_iterator(
        [word.replace("é", "e") for word in WORDS],
        tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=[*special, *pieces], show_progress=False),
    )
    content = json.loads(model.to_str())
    content["added_tokens"] = [one for one in content["added_tokens"] if one["content"] in special]
    return json.dumps(content).encode()


BYTE_LEVEL, METASPACE, NEVER = byte_level(), metaspace(), metaspace("never")


@given(text=TEXTS)
def test_byte_level_keeps_any_text_and_its_bytes_add_up(text):
    tokenizer = HuggingFaceTokenizer(BYTE_LEVEL, 0)
    ids = tokenizer.encode(text)
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert sum(len(tokenizer.piece_bytes[index]) for index in ids) == len(text.encode())
    assert not tokenizer.special_ids & set(ids.tolist())


@pytest.mark.parametrize("content", [METASPACE, NEVER])
@given(text=TEXTS)
def test_metaspace_keeps_any_text_without_its_mark(content, text):
    text = text.replace("▁", "")
    tokenizer = HuggingFaceTokenizer(content, 0)
    assert tokenizer.decode_bytes(tokenizer.encode(text)) == text.encode()


def test_what_keeps_text_whole_is_tried():
    assert HuggingFaceTokenizer(BYTE_LEVEL, 0).lossless
    assert first_changed(HuggingFaceTokenizer(METASPACE, 0)) == "▁"
    assert not HuggingFaceTokenizer(byte_level(every_byte=False), 0).lossless
    assert not HuggingFaceTokenizer(byte_level(add_prefix_space=True), 0).lossless
    assert not HuggingFaceTokenizer(byte_level(normalizer=tokenizers.normalizers.NFKC()), 0).lossless
    assert not HuggingFaceTokenizer(byte_level(normalizer=tokenizers.normalizers.Lowercase()), 0).lossless
    assert not HuggingFaceTokenizer(metaspace(bytes_too=False), 0).lossless


@pytest.mark.parametrize("content", [BYTE_LEVEL, METASPACE, NEVER])
def test_the_bytes_of_a_stream_are_those_of_its_texts(content):
    documents = ["the cat sat", " a dog", "", "  two spaces and ü\n"]
    stream = stream_from_documents(documents, HuggingFaceTokenizer(content, 0), "x")
    assert stream.text_bytes == sum(len(document.encode()) for document in documents)
    assert byte_lengths(stream.tokens, stream.tokenizer).sum() == stream.text_bytes


@pytest.mark.parametrize("content", [BYTE_LEVEL, METASPACE, NEVER])
def test_ids_are_those_of_the_package(content):
    tokenizer, package = HuggingFaceTokenizer(content, 0), tokenizers.Tokenizer.from_buffer(content)
    for text in ("the cat sat on the mat", "naïve 😀", "1,000 cats\n\nran"):
        assert tokenizer.encode(text).tolist() == package.encode(text, add_special_tokens=False).ids
        assert package.decode(tokenizer.encode(text)) == text


def test_the_spelling_of_a_special_token_is_text():
    tokenizer = HuggingFaceTokenizer(BYTE_LEVEL, 0)
    assert 0 not in tokenizer.encode("a<|end|>b")
    assert tokenizer.decode(tokenizer.encode("a<|end|>b")) == "a<|end|>b"


def test_added_tokens_that_are_text_keep_their_bytes():
    model = tokenizers.Tokenizer.from_buffer(BYTE_LEVEL)
    model.add_tokens([tokenizers.AddedToken("é é", normalized=False), tokenizers.AddedToken("   ", normalized=False)])
    tokenizer = HuggingFaceTokenizer(model.to_str().encode(), 0)
    assert tokenizer.lossless
    assert tokenizer.decode(tokenizer.encode("aé é   b")) == "aé é   b"
    model.add_tokens([tokenizers.AddedToken("eats", lstrip=True)])
    tokenizer = HuggingFaceTokenizer(model.to_str().encode(), 0)
    assert first_changed(tokenizer) == "a eats b"


def test_ids_beyond_the_tokenizer_stand_for_nothing():
    tokenizer = HuggingFaceTokenizer(BYTE_LEVEL, 0, vocab_size=310)
    assert (tokenizer.vocab_size, len(tokenizer.piece_bytes)) == (310, 310)
    assert tokenizer.piece_bytes[309] == b""
    assert 309 in tokenizer.special_ids
    with pytest.raises(DataError, match="do not belong together"):
        HuggingFaceTokenizer(BYTE_LEVEL, 0, vocab_size=20)


def test_other_decoders_and_other_files_are_refused():
    model = tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    model.decoder = tokenizers.decoders.WordPiece()
    with pytest.raises(DataError, match="decodes by WordPiece"):
        HuggingFaceTokenizer(model.to_str().encode(), 0)
    with pytest.raises(DataError, match=r"Not a tokenizer\.json"):
        HuggingFaceTokenizer(b"{}", 0)


@given(text=TEXTS)
def test_raw_bytes_keep_any_text(text):
    for tokenizer in (RawBytes(), RawBytes(3, 0, 384)):
        assert tokenizer.decode_bytes(tokenizer.encode(text)) == text.encode()
        assert len(tokenizer.encode(text)) == len(text.encode())


def test_raw_bytes_are_lossless_and_their_layout_is_checked():
    assert RawBytes().lossless
    assert RawBytes().sha256 != RawBytes(3, 0, 384).sha256
    for layout in ((0, 5, 257), (3, 0, 258), (0, 256, 256)):
        with pytest.raises(DataError):
            RawBytes(*layout)

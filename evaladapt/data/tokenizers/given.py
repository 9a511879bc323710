"""A tokenizer as a person gives it in Python: a file, the word ``bytes``, or an object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import DataError

BYTES = "bytes"
NEEDED = ("vocab_size", "bos_id", "sha256", "piece_bytes", "special_ids", "encode")


def tokenizer_given(given: Any, folder: Path, vocab_size: int) -> tuple[Tokenizer, Sequence[Path]]:
    """The tokenizer, and the files it was read from.

    Args:
        given: path of a sentencepiece ``.model`` or of a ``tokenizer.json``; ``bytes``; a fast tokenizer of
            transformers; or an object that keeps :class:`~evaladapt.data.tokenizer.Tokenizer`.
        folder: what a path is relative to.
        vocab_size: the model's.

    Raises:
        DataError: it is none of these, or cannot be read.
    """
    if isinstance(given, str) and given == BYTES:
        from evaladapt.data.tokenizers.raw_bytes import RawBytes

        return RawBytes(vocab_size=vocab_size), ()
    if isinstance(given, str | Path):
        return _read(folder / given, vocab_size)
    if hasattr(given, "backend_tokenizer"):
        return _of_transformers(given, vocab_size), ()
    missing = [name for name in NEEDED if not hasattr(type(given), name) and name not in vars(given)]
    if missing:
        raise DataError(
            f"a {type(given).__name__} is no tokenizer: it lacks {', '.join(missing)}. Give a path (.model of"
            f" sentencepiece, tokenizer.json), {BYTES!r}, a fast tokenizer of transformers, or a subclass of"
            " evaladapt.data.tokenizer.Tokenizer"
        )
    return given, ()


def _read(path: Path, vocab_size: int) -> tuple[Tokenizer, Sequence[Path]]:
    if path.suffix == ".json":
        from evaladapt.data.tokenizers.huggingface import open_tokenizer_json

        return open_tokenizer_json(path, vocab_size), (path,)
    from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer

    return SentencePieceTokenizer.load(path), (path,)


def _of_transformers(given: Any, vocab_size: int) -> Tokenizer:
    from evaladapt.data.tokenizers.huggingface import HuggingFaceTokenizer

    opening = given.eos_token_id if given.bos_token_id is None else given.bos_token_id
    if opening is None:
        raise DataError("this tokenizer has neither bos_token nor eos_token, and every document opens with one")
    return HuggingFaceTokenizer(given.backend_tokenizer.to_str().encode(), opening, vocab_size)

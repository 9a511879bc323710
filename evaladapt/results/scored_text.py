"""The text of a run as its results need it, and as a file beside the record: ``text.npz``.

With it, record and ledger a run can be taken apart by document and target wherever it came from, without its model and
without a second run; standard input and documents from Python are nowhere else.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaladapt.data.stream import TokenStream, hash_tokens
from evaladapt.errors import DataError
from evaladapt.system.files import read_regular, write_atomically

NAME = "text.npz"
MOST_BYTES = 16 << 30
KINDS = {"tokens": "int32", "byte_lengths": "int32", "documents": "int32", "known": "int32", "ends": "int64",
         "pieces": "uint8"}  # fmt: skip
HEAD_BYTES = 4096
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, OSError, RuntimeError, ValueError)
"""What a damaged archive raises: RuntimeError where a bit says that it is encrypted, or packed in another way."""


@dataclass(frozen=True)
class ScoredText:
    """Targets ``1 … N`` and what is before them.

    Attributes:
        tokens, byte_lengths, documents: int32 [N+1], as in :class:`~evaladapt.data.stream.TokenStream`.
        known: int32 [K], the different tokens, ascending.
        ends: int64 [K], where the bytes of each end in ``pieces``.
        pieces: uint8, the bytes that the tokens stand for, one token after the other.
    """

    tokens: NDArray[np.int32]
    byte_lengths: NDArray[np.int32]
    documents: NDArray[np.int32]
    known: NDArray[np.int32]
    ends: NDArray[np.int64]
    pieces: NDArray[np.uint8]

    @classmethod
    def of(cls, stream: TokenStream) -> ScoredText:
        """The text of a stream; tokens are empty where it came without a tokenizer."""
        known = np.unique(stream.tokens).astype(np.int32)
        pieces = [stream.tokenizer.piece_bytes[one] if stream.tokenizer else b"" for one in known.tolist()]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        content = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        return cls(stream.tokens, stream.byte_lengths, stream.documents, known, ends, content)

    @property
    def targets(self) -> int:
        """How many."""
        return len(self.tokens) - 1

    @cached_property
    def document_bytes(self) -> NDArray[np.int64]:
        """[D]: bytes of every document."""
        return np.bincount(self.documents, weights=self.byte_lengths).astype(np.int64)

    @cached_property
    def document_targets(self) -> NDArray[np.int64]:
        """[D]: targets of every document, the one that opens it included."""
        return np.bincount(self.documents[1:], minlength=len(self.document_bytes))

    @cached_property
    def words(self) -> NDArray[np.object_]:
        """[K]: the known tokens as a person would read them; bytes that are no UTF-8 alone become U+FFFD."""
        content = self.pieces.tobytes()
        starts = [0, *self.ends.tolist()]
        found = [content[start:end].decode("utf-8", errors="replace")
                 for start, end in zip(starts, self.ends.tolist(), strict=False)]  # fmt: skip
        words = np.empty(len(found), dtype=object)
        words[:] = found
        return words

    def texts(self, first: int, stop: int) -> NDArray[np.object_]:
        """Tokens ``first … stop - 1`` as a person would read them."""
        found: NDArray[np.object_] = self.words[np.searchsorted(self.known, self.tokens[first:stop])]
        return found

    def save(self, folder: Path) -> None:
        """Write it to the folder of a run."""
        file = io.BytesIO()
        np.savez_compressed(file, **{name: getattr(self, name) for name in KINDS})
        write_atomically(folder / NAME, [file.getvalue()])


def read_text(folder: Path, tokens_sha256: str, targets: int, text_bytes: int) -> ScoredText:
    """The text that lies beside a record, held against what the record says of it.

    Raises:
        DataError: there is none, it is damaged, or it is another text.
    """
    path = folder / NAME
    if not path.exists():
        raise DataError(
            f"{folder} has no {NAME} beside its record: an earlier evaladapt made it (run it again), or it is a part of"
            " a comparison, which is opened as a whole (evaladapt.open_comparison)"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(read_regular(path, MOST_BYTES))) as archive:
            text = ScoredText(
                **{name: _column(archive, name, kind, targets + text_bytes) for name, kind in KINDS.items()}
            )
    except DAMAGE as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if not len(text.tokens) == len(text.byte_lengths) == len(text.documents) or len(text.known) != len(text.ends):
        raise DataError(f"{path} is damaged: its columns have different lengths")
    if hash_tokens(text.tokens) != tokens_sha256 or int(text.byte_lengths.sum(dtype=np.int64)) != text_bytes:
        raise DataError(f"{path} is not the text of the record beside it")
    if not _is_whole(text):
        raise DataError(f"{path} is damaged: its documents or tokens are out of order")
    return text


def _column(archive: zipfile.ZipFile, name: str, kind: str, most: int) -> NDArray[Any]:
    """One column; nothing is unpacked that says of itself that it is longer than the record's text could be."""
    packed = archive.getinfo(f"{name}.npy")
    if packed.file_size > HEAD_BYTES + most * np.dtype(kind).itemsize:
        raise ValueError(f"{name} has {packed.file_size:,} bytes, more than the text of the record")
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(archive.read(packed)), allow_pickle=False)
    if array.dtype != kind or array.ndim != 1:
        raise ValueError(f"{name} is an array of {array.dtype} where {kind} was due")
    return array


def _is_whole(text: ScoredText) -> bool:
    """Documents count up by one from 0, every token is known, and the pieces are as long as they say."""
    steps, last = np.diff(text.documents, prepend=0), int(text.ends[-1]) if len(text.ends) else -1
    counted = bool(((steps == 0) | (steps == 1)).all()) and int(text.byte_lengths.min()) >= 0
    known = np.array_equal(np.unique(text.tokens), text.known)
    return counted and known and last == len(text.pieces) and bool((np.diff(text.ends, prepend=0) >= 0).all())

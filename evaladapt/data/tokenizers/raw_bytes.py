"""A token per byte, for byte-level models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np

from evaladapt.data.tokenizer import TokenIds, Tokenizer, refuse_surrogates
from evaladapt.errors import DataError

BYTES = 256


class RawBytes(Tokenizer):
    """Byte ``b`` is id ``first_byte_id + b``; every other id stands for nothing.

    The default has bytes at 0 to 255 and the document's start at 256. ByT5's layout is
    ``RawBytes(first_byte_id=3, bos_id=0, vocab_size=384)``.
    """

    def __init__(self, first_byte_id: int = 0, bos_id: int = BYTES, vocab_size: int = BYTES + 1) -> None:
        after = first_byte_id + BYTES
        if not 0 <= first_byte_id <= vocab_size - BYTES or not 0 <= bos_id < vocab_size:
            raise DataError(f"{vocab_size} ids do not hold bytes from {first_byte_id} on and a start at {bos_id}.")
        if first_byte_id <= bos_id < after:
            raise DataError(f"The id {bos_id} that opens a document is that of a byte.")
        self._first, self._bos_id, self._size = first_byte_id, bos_id, vocab_size

    @property
    def vocab_size(self) -> int:
        """As given."""
        return self._size

    @property
    def bos_id(self) -> int:
        """As given."""
        return self._bos_id

    @property
    def sha256(self) -> str:
        """Of the layout."""
        return hashlib.sha256(f"raw bytes {self._first} {self._bos_id} {self._size}".encode()).hexdigest()

    @cached_property
    def piece_bytes(self) -> list[bytes]:
        """One byte an id."""
        table = [b""] * self._size
        table[self._first : self._first + BYTES] = [bytes([value]) for value in range(BYTES)]
        return table

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """All that are no byte."""
        return frozenset(range(self._size)) - frozenset(range(self._first, self._first + BYTES))

    def chunks(self, blocks: Iterable[str]) -> Iterator[str]:
        """The blocks: a byte is a token wherever it stands."""
        yield from blocks

    def encode(self, text: str) -> TokenIds:
        """The UTF-8 bytes of the text.

        Raises:
            DataError: the text holds a lone surrogate, which has no UTF-8 bytes.
        """
        refuse_surrogates(text)
        return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.int32) + np.int32(self._first)

"""What every tokenizer offers: ids of a text, and the exact bytes of every id, on which all byte accounting stands.

The kinds that evaladapt reads are in :mod:`evaladapt.data.tokenizers`. One of your own is a subclass of
:class:`Tokenizer` with the six members that have no body here; the rest follows from them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from evaladapt.errors import DataError

TokenIds = npt.NDArray[np.int32]
SPAN_TOKENS = 65_536
"""Tokens decoded together: as Python numbers they take ten times the memory of their array."""


class Tokenizer(Protocol):
    """Text to token ids and back. Subclasses are not to be changed once built.

    A document is :attr:`bos_id` and then :meth:`encode` of its text. Its bytes are those of its ids in
    :attr:`piece_bytes`, less the leading spaces that :attr:`drops_leading_space` and :attr:`drops_leading_spaces` name.
    """

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of ids; equal to the model's, ids that stand for nothing included."""

    @property
    @abstractmethod
    def bos_id(self) -> int:
        """The id that opens every document: BOS, or what the model's training put between documents."""

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Of what the tokenizer was read from: two of one hash give the same ids."""

    @property
    @abstractmethod
    def piece_bytes(self) -> list[bytes]:
        """The bytes that each id adds to the decoded text inside a document; ids of ``special_ids`` add none."""

    @property
    @abstractmethod
    def special_ids(self) -> frozenset[int]:
        """Ids that no text becomes: BOS and other control ids, unknown and unused ones."""

    @abstractmethod
    def encode(self, text: str) -> TokenIds:
        """Token ids of one document, int32, without BOS; never one of ``special_ids`` but the unknown id.

        Raises:
            DataError: the text holds a lone surrogate, which has no UTF-8 bytes.
        """

    def chunks(self, blocks: Iterable[str]) -> Iterator[str]:
        """A document, given in blocks of any size, in stretches that are encoded one by one: their tokens joined are
        those of the document.

        The stretches do not depend on the blocks, and a block is read only when the stretch before it was taken, so the
        first tokens of a long text can be had without the rest. A tokenizer that knows no place where a text can be cut
        gets the document whole.
        """
        yield "".join(blocks)

    @property
    def drops_leading_space(self) -> bool:
        """Whether decoding drops one space at the start of a document, because encoding put one there."""
        return False

    @property
    def drops_leading_spaces(self) -> bool:
        """Whether decoding drops all spaces at the start of a document, as encoding did."""
        return False

    @property
    def spellings_to_try(self) -> list[str]:
        """Strings that may be treated unlike other text; :attr:`lossless` tries them inside a text."""
        return [self.pieces[index] for index in sorted(self.special_ids)]

    @cached_property
    def pieces(self) -> list[str]:
        """Each id as a person would write it."""
        return [piece.decode("utf-8", errors="replace") for piece in self.piece_bytes]

    @cached_property
    def byte_piece_ids(self) -> frozenset[int]:
        """Ids that stand for one byte each; all 256 where any bytes can be written, valid text or not."""
        return frozenset(index for index, piece in enumerate(self.piece_bytes) if len(piece) == 1)

    @cached_property
    def lossless(self) -> bool:
        """Whether text survives encoding and decoding unchanged; tried on texts made for it, not inferred."""
        from evaladapt.data.tokenizers.trial import keeps_text

        return keeps_text(self)

    def decode_bytes(self, ids: Iterable[int] | TokenIds) -> bytes:
        """The bytes of one document's tokens; they are valid UTF-8 unless the tokens end inside a character."""
        piece = self.piece_bytes.__getitem__
        if isinstance(ids, np.ndarray):
            spans = range(0, len(ids), SPAN_TOKENS)
            data = b"".join([b"".join(map(piece, ids[at : at + SPAN_TOKENS].tolist())) for at in spans])
        else:
            data = b"".join(map(piece, ids))
        if self.drops_leading_spaces:
            return data.lstrip(b" ")
        return data.removeprefix(b" ") if self.drops_leading_space else data

    def decode(self, ids: Iterable[int] | TokenIds) -> str:
        """The text of one document's tokens; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")


def refuse_surrogates(text: str) -> None:
    """Refuse text without UTF-8 bytes. Raises :class:`DataError` with the place."""
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"The text holds a lone surrogate at character {error.start}, which no UTF-8 text can hold."
        ) from None

"""Any bytes as tokens, and back: the codec's own view of a text, because a file to compress may hold anything.

Text that the tokenizer gives back unchanged is coded in the tokenizer's tokens, as a run would score it. Other bytes
(invalid UTF-8, text that the tokenizer would rewrite) are coded as pieces whose bytes are joined: valid stretches by
the tokenizer where it is lossless, everything else by longest match over its pieces, of which 256 are single bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from evaladapt.codec.problems import CodecError
from evaladapt.data.stream import TokenStream, documents_from_tokens
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.engine.source import UNKNOWN

INVALID_BYTES = re.compile("([\udc80-\udcff]+)")
"""How ``surrogateescape`` shows bytes that are no UTF-8."""


class Spelling(IntEnum):
    """How tokens become bytes again."""

    TOKENIZER = 0
    PIECES = 1


@dataclass(frozen=True)
class CodedText:
    """A text as a token source, with its bytes; the bytes are empty in a decoder that has only begun.

    Attributes:
        tokens: int32 [N+1]; every document starts with BOS.
        documents: int32 [N+1].
    """

    name: str
    content: bytes
    spelling: Spelling
    tokens: TokenIds
    documents: NDArray[np.int32]

    @property
    def targets(self) -> int:
        """N."""
        return len(self.tokens) - 1

    @property
    def document_starts(self) -> NDArray[np.int64]:
        """Stream index of the BOS of every document."""
        return np.flatnonzero(np.diff(self.documents, prepend=-1))


def text_from_bytes(content: bytes, tokenizer: Tokenizer, name: str) -> CodedText:
    """One document of any bytes.

    Raises:
        CodecError: the tokenizer has no pieces for single bytes, and the content needs some.
    """
    spelling, ids = _spell(content, tokenizer)
    tokens = np.concatenate([np.array([tokenizer.bos_id], dtype=np.int32), ids.astype(np.int32)])
    return CodedText(name, content, spelling, tokens, np.zeros(len(tokens), dtype=np.int32))


def text_from_stream(stream: TokenStream, tokenizer: Tokenizer) -> CodedText:
    """The documents of a run's stream, as they are scored."""
    content = b"".join(documents_from_tokens(stream.tokens, tokenizer))
    return CodedText(stream.name, content, Spelling.TOKENIZER, stream.tokens, stream.documents)


def blank_text(targets: int, document_starts: NDArray[np.int64], spelling: Spelling, bos_id: int) -> CodedText:
    """The shape of a text of which only the BOS tokens that open its documents are known."""
    opens = np.zeros(targets + 1, dtype=np.int32)
    opens[document_starts] = 1
    tokens = np.full(targets + 1, UNKNOWN, dtype=np.int32)
    tokens[document_starts] = bos_id
    return CodedText("the coded text", b"", spelling, tokens, np.cumsum(opens, dtype=np.int32) - np.int32(1))


def bytes_from_tokens(text: CodedText, known: int, tokenizer: Tokenizer) -> bytes:
    """The bytes of the first ``known`` tokens."""
    tokens = text.tokens[:known]
    if text.spelling == Spelling.PIECES:
        return b"".join(map(tokenizer.piece_bytes.__getitem__, tokens.tolist()))
    starts = [int(start) for start in text.document_starts if start < known]
    parts = zip(starts, [*starts[1:], known], strict=True)
    return b"".join(tokenizer.decode_bytes(tokens[start:stop]) for start, stop in parts)


def _spell(content: bytes, tokenizer: Tokenizer) -> tuple[Spelling, TokenIds]:
    try:
        ids = tokenizer.encode(content.decode("utf-8"))
    except UnicodeDecodeError:
        return Spelling.PIECES, _pieces(content, tokenizer)
    if tokenizer.decode_bytes(ids) == content:
        return Spelling.TOKENIZER, ids
    return Spelling.PIECES, _pieces(content, tokenizer)


def _pieces(content: bytes, tokenizer: Tokenizer) -> TokenIds:
    if len(tokenizer.byte_piece_ids) != 256:
        raise CodecError(
            "the text holds bytes that this artifact's tokenizer cannot keep, and it has no pieces for single bytes."
            " Take an artifact whose tokenizer has byte_fallback"
        )
    byte_ids = {tokenizer.piece_bytes[index]: index for index in tokenizer.byte_piece_ids}
    if not tokenizer.lossless:
        return np.fromiter(_longest_matches(content, tokenizer, byte_ids), dtype=np.int32)
    stretches = INVALID_BYTES.split(content.decode("utf-8", errors="surrogateescape"))
    ids = [tokenizer.encode(valid) for valid in stretches[::2]]
    invalid = [stretch.encode("utf-8", errors="surrogateescape") for stretch in stretches[1::2]]
    for number, stretch in enumerate(invalid):
        spelled = [byte_ids[bytes([value])] for value in stretch]
        ids.insert(2 * number + 1, np.array(spelled, dtype=np.int32))
    return np.concatenate(ids)


def _longest_matches(content: bytes, tokenizer: Tokenizer, byte_ids: dict[bytes, int]) -> Iterator[int]:
    known = {piece: index for index, piece in enumerate(tokenizer.piece_bytes) if piece}
    known.update(byte_ids)
    longest = max(map(len, known))
    at = 0
    while at < len(content):
        size = next(size for size in range(longest, 0, -1) if content[at : at + size] in known)
        yield known[content[at : at + size]]
        at += size

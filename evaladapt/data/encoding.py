"""A text of any length into tokens, piece by piece: what a long text costs is its tokens, not the work on all of it.

Where a tokenizer knows places at which a text can be cut, it sees about 65,536 characters at a time
(:meth:`Tokenizer.chunks`); any other sees every document whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.errors import DataError


@dataclass(frozen=True)
class Part:
    """A stretch of a document and its tokens, int32; the parts joined are the document and its tokens."""

    text: str
    ids: TokenIds


def encoded_parts(blocks: Iterable[str], tokenizer: Tokenizer) -> Iterator[Part]:
    """The document that ``blocks`` spell, encoded; a block is read only when the part before it was taken."""
    for chunk in tokenizer.chunks(blocks):
        yield Part(chunk, tokenizer.encode(chunk))


def refuse_changed(document: str, ids: TokenIds, tokenizer: Tokenizer, where: str, *, before: int = 0) -> bytes:
    """Refuse a text that does not come back from its tokens unchanged; returns its bytes.

    Args:
        document: a document, or a part of it after ``before`` characters.
        ids: its tokens.
        tokenizer: what made them.
        where: what to call the document in the message.
        before: characters of the document before this part.

    Raises:
        DataError: shows the first difference and what to do.
    """
    raw = document.encode("utf-8")
    decoded = tokenizer.decode_bytes(ids)
    if decoded == raw:
        return raw
    text = decoded.decode("utf-8", errors="replace")
    shorter = min(len(text), len(document))
    at = next((index for index in range(shorter) if text[index] != document[index]), shorter)
    raise DataError(
        f"{where}: the tokenizer rewrites the text, so a score would not be of this text. The first difference, at "
        f"character {before + at}: the text has {document[at : at + 20]!r}, the tokens give {text[at : at + 20]!r}. "
        "Use a tokenizer that keeps text whole (evaladapt data prepare --train-tokenizer 2048 makes one), or text that "
        "is already as the tokenizer writes it."
    )

"""The stream: what a run scores. Token ids with the bytes of each and the document it belongs to, ready for the engine.

Documents come in as text (:func:`stream_from_documents`) or as token shards (:func:`stream_from_shards`); out goes one
:class:`TokenStream`, whose constructor asserts the money line: the bytes of the tokens sum to the bytes of the text.

The denominator of a score is the raw text's bytes. A tokenizer that rewrites text scores an easier text than the one it
was given, so :func:`stream_from_documents` refuses it on any document that does not come back unchanged. Texts that are
already as the tokenizer would write them pass. With shards the text is what the tokens decode to; there is no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from evaladapt.data.accounting import byte_lengths
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.errors import DataError, UsageError


@dataclass(frozen=True)
class TokenStream:
    """Tokens ``x_0 … x_N``: every one but ``x_0`` (BOS) is a target.

    Attributes:
        tokens: int32 ``[N+1]``. Every document is opened by BOS, in mid-stream too; that BOS is a target of 0 bytes.
        byte_lengths: int32 ``[N+1]``, bytes that the token adds to the text.
        documents: int32 ``[N+1]``, number of the token's document, from 0; a document starts at its BOS.
        name: what to call the data in a record.
        sha256: of the tokens as little-endian int32.
        text_sha256: of the documents' bytes, see :func:`hash_documents`.
        text_bytes: bytes of the text that is scored; the sum of ``byte_lengths``.
        raw_bytes: bytes of the text before a tokenizer rewrote it; ``text_bytes`` unless ``allow_normalised`` was
            given.
    """

    tokens: TokenIds
    byte_lengths: npt.NDArray[np.int32]
    documents: npt.NDArray[np.int32]
    name: str
    sha256: str
    text_sha256: str
    text_bytes: int
    raw_bytes: int = -1
    tokenizer: Tokenizer | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.raw_bytes < 0:
            object.__setattr__(self, "raw_bytes", self.text_bytes)
        if not len(self.tokens) == len(self.byte_lengths) == len(self.documents):
            raise DataError(f"{self.name}: tokens, byte lengths and documents differ in length.")
        counted = int(self.byte_lengths.sum(dtype=np.int64))
        if counted != self.text_bytes:
            raise DataError(
                f"{self.name}: the tokens count {counted} bytes, the text has {self.text_bytes}: a wrong byte table."
            )

    @property
    def targets(self) -> int:
        """N, the number of tokens to be scored."""
        return len(self.tokens) - 1

    @property
    def n_documents(self) -> int:
        """How many documents the stream holds, the last one perhaps cut."""
        return int(self.documents[-1]) + 1

    def limit(self, targets: int) -> TokenStream:
        """The stream of the first ``targets`` targets, with its own hashes and byte counts; itself if it is no longer.

        Raises:
            UsageError: fewer than one target asked for.
        """
        if targets < 1:
            raise UsageError(f"--limit-tokens {targets}: at least 1 target is needed.")
        if targets >= self.targets:
            return self
        if self.tokenizer is None:
            raise DataError(f"{self.name} cannot be cut: it was made without its tokenizer.")
        return stream_from_tokens(self.tokens[: targets + 1], self.tokenizer, f"{self.name}[:{targets}]")


def hash_documents(documents: Iterable[bytes]) -> str:
    """SHA-256 of documents, each closed by its length, so that moving a boundary changes the hash."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document)
        digest.update(len(document).to_bytes(8, "little"))
    return digest.hexdigest()


def documents_from_tokens(tokens: TokenIds, tokenizer: Tokenizer) -> Iterator[bytes]:
    """The bytes of each document of a stream; a document starts at each BOS, and at the first token."""
    starts = np.flatnonzero(tokens == tokenizer.bos_id)
    if not len(starts) or starts[0] != 0:
        starts = np.concatenate([[0], starts])
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        yield tokenizer.decode_bytes(tokens[start:end])


def stream_from_tokens(tokens: TokenIds, tokenizer: Tokenizer, name: str, *, raw_bytes: int = -1) -> TokenStream:
    """A stream from token ids; BOS is put first where it is missing. Its text is what the tokens decode to."""
    tokens = np.ascontiguousarray(tokens, dtype=np.int32)
    if not len(tokens) or tokens[0] != tokenizer.bos_id:
        tokens = np.concatenate([np.array([tokenizer.bos_id], dtype=np.int32), tokens])
    if len(tokens) < 2:
        raise DataError(f"{name} holds no token to score.")
    size = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for document in documents_from_tokens(tokens, tokenizer):
            size += len(document)
            yield document

    text_sha256 = hash_documents(measured())
    return TokenStream(
        tokens=tokens,
        byte_lengths=byte_lengths(tokens, tokenizer),
        documents=np.cumsum(tokens == tokenizer.bos_id, dtype=np.int32) - np.int32(1),
        name=name,
        sha256=hashlib.sha256(tokens.astype("<i4", copy=False).tobytes()).hexdigest(),
        text_sha256=text_sha256,
        text_bytes=size,
        raw_bytes=raw_bytes,
        tokenizer=tokenizer,
    )


def stream_from_documents(
    documents: Sequence[str], tokenizer: Tokenizer, name: str, *, allow_normalised: bool = False
) -> TokenStream:
    """Tokenise each document by itself, BOS first, and join them.

    Args:
        documents: texts; empty ones add a BOS and no byte.
        tokenizer: lossless, unless the documents come back unchanged.
        name: what to call the data in records and messages.
        allow_normalised: score the text as the tokenizer rewrites it. ``text_bytes`` are then that text's,
            ``raw_bytes`` the original's,
            and the two scores cannot be compared with anybody's on the original.

    Raises:
        DataError: no text, or a document that the tokenizer would change; the message shows the first difference.
    """
    parts: list[TokenIds] = []
    bos = np.array([tokenizer.bos_id], dtype=np.int32)
    for number, document in enumerate(documents, 1):
        ids = tokenizer.encode(document)
        if not allow_normalised:
            refuse_changed(document, ids, tokenizer, f"{name}, document {number}")
        parts += [bos, ids]
    if not parts or not any(map(len, parts[1::2])):
        raise DataError(f"{name} holds no text: there is nothing to score.")
    raw = sum(len(document.encode("utf-8")) for document in documents)
    return stream_from_tokens(np.concatenate(parts), tokenizer, name, raw_bytes=raw)


def refuse_changed(document: str, ids: TokenIds, tokenizer: Tokenizer, where: str) -> None:
    """Refuse a document that does not come back from its tokens unchanged.

    Raises:
        DataError: shows the first difference and what to do.
    """
    decoded = tokenizer.decode_bytes(ids)
    if decoded == document.encode("utf-8"):
        return
    text = decoded.decode("utf-8", errors="replace")
    shorter = min(len(text), len(document))
    at = next((index for index in range(shorter) if text[index] != document[index]), shorter)
    raise DataError(
        f"{where}: the tokenizer rewrites the text, so a score would not be of this text. The first difference, at "
        f"character {at}: the text has {document[at : at + 20]!r}, the tokens give {text[at : at + 20]!r}. Use a "
        "tokenizer that keeps text whole (evaladapt data prepare --train-tokenizer 2048 makes one), or text that is "
        "already as the tokenizer writes it."
    )

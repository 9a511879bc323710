"""The stream: what a run scores. Token ids with the bytes of each and the document it belongs to, ready for the engine.

Documents come in as text (:mod:`evaladapt.data.building`) or as token shards (:mod:`evaladapt.data.shards`); out goes
one :class:`TokenStream`, whose constructor asserts the money line: the bytes of the tokens sum to the bytes of the
text. With shards the text is what the tokens decode to, or what a sidecar of the contest says it was before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from evaladapt.data.accounting import byte_lengths
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.errors import DataError, UsageError


@dataclass(frozen=True)
class Source:
    """What one file gave to a stream.

    Attributes:
        name: of the file, or what the text is called.
        first_document: number of its first document in the stream, from 0.
        documents: how many it gave, the last one perhaps cut.
        text_bytes: bytes of their text.
        empty: documents without a character, which were left out.
        notes: what a person should know about it.
    """

    name: str
    first_document: int
    documents: int
    text_bytes: int
    empty: int = 0
    notes: tuple[str, ...] = ()


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
        raw_bytes: bytes of the text before a tokenizer rewrote it; ``text_bytes`` unless it did.
        limited: whether it is the beginning of a longer stream.
        bytes_from: the sidecar that gave the byte lengths; empty where they are those of the tokens.
        sources: the files it was read from, in order.
    """

    tokens: TokenIds
    byte_lengths: npt.NDArray[np.int32]
    documents: npt.NDArray[np.int32]
    name: str
    sha256: str
    text_sha256: str
    text_bytes: int
    raw_bytes: int = -1
    limited: bool = False
    bytes_from: str = ""
    sources: tuple[Source, ...] = field(default=(), repr=False, compare=False)
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
            DataError: there is no text among them.
        """
        refuse_no_targets(targets)
        if targets >= self.targets:
            return self
        if self.tokenizer is None:
            raise DataError(f"{self.name} cannot be cut: it was made without its tokenizer.")
        kept = slice(targets + 1)
        size = int(self.byte_lengths[kept].sum(dtype=np.int64))
        if not size:
            with_text = int(np.argmax(self.byte_lengths > 0))
            raise DataError(
                f"The first {targets} targets of {self.name} hold no text, only empty documents: there is nothing to "
                f"score. Text begins at target {with_text}: --limit-tokens {with_text} or more."
            )
        documents = documents_from_tokens(self.tokens[kept], self.tokenizer)
        return replace(
            self,
            tokens=self.tokens[kept],
            byte_lengths=self.byte_lengths[kept],
            documents=self.documents[kept],
            name=limited_name(self.name, targets),
            sha256=hash_tokens(self.tokens[kept]),
            text_sha256=hash_documents(documents),
            text_bytes=size,
            raw_bytes=-1,
            limited=True,
            sources=_cut_sources(self, targets),
        )


def _cut_sources(stream: TokenStream, targets: int) -> tuple[Source, ...]:
    """The sources of the first ``targets`` targets; the last one's share is what is left of it."""
    last = int(stream.documents[targets])
    kept = [source for source in stream.sources if source.first_document <= last]
    if not kept:
        return ()
    before = sum(source.text_bytes for source in kept[:-1])
    size = int(stream.byte_lengths[: targets + 1].sum(dtype=np.int64)) - before
    cut = replace(kept[-1], documents=last + 1 - kept[-1].first_document, text_bytes=size)
    return (*kept[:-1], cut)


def limited_name(name: str, targets: int) -> str:
    """What to call the first ``targets`` targets of a stream."""
    return f"{name}[:{targets}]"


def no_text_within(name: str, limit: int) -> DataError:
    """What to tell where the text of a stream begins beyond the limit."""
    return DataError(
        f"The first {limit} targets of {name} hold no text, only empty documents: there is nothing to score. "
        "Raise --limit-tokens."
    )


def refuse_no_targets(targets: int) -> None:
    """Raise :class:`UsageError` for a limit below one."""
    if targets < 1:
        raise UsageError(f"--limit-tokens {targets}: at least 1 target is needed.")


def hash_tokens(tokens: TokenIds) -> str:
    """SHA-256 of the tokens as little-endian int32."""
    return hashlib.sha256(np.ascontiguousarray(tokens, dtype="<i4").data).hexdigest()


def document_numbers(tokens: TokenIds, bos_id: int) -> npt.NDArray[np.int32]:
    """The number of each token's document, int32, where the first token is BOS."""
    numbers = np.empty(len(tokens), dtype=np.int32)
    np.equal(tokens, bos_id, out=numbers, casting="unsafe")
    np.cumsum(numbers, out=numbers)
    numbers -= 1
    return numbers


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


def stream_from_tokens(
    tokens: TokenIds,
    tokenizer: Tokenizer,
    name: str,
    *,
    documents: Iterable[bytes] | None = None,
    sidecar: npt.NDArray[np.int32] | None = None,
    bytes_from: str = "",
) -> TokenStream:
    """A stream from token ids; BOS is put first where it is missing. Its text is what the tokens decode to.

    Args:
        tokens: int32 ids.
        tokenizer: what made them.
        name: what to call the data.
        documents: what :func:`documents_from_tokens` gives, for a caller who looks at it on the way.
        sidecar: bytes of every token where they are not the tokens' own; one for each of ``tokens``.
        bytes_from: name of the sidecar.

    Raises:
        DataError: no token has text.
    """
    tokens = np.ascontiguousarray(tokens, dtype=np.int32)
    if not len(tokens) or tokens[0] != tokenizer.bos_id:
        tokens = np.concatenate([np.array([tokenizer.bos_id], dtype=np.int32), tokens])
        sidecar = None if sidecar is None else np.concatenate([np.zeros(1, dtype=np.int32), sidecar])
    size = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for document in documents_from_tokens(tokens, tokenizer) if documents is None else documents:
            size += len(document)
            yield document

    text_sha256 = hash_documents(measured())
    lengths = byte_lengths(tokens, tokenizer) if sidecar is None else sidecar
    if sidecar is not None:
        size = int(sidecar.sum(dtype=np.int64))
    if not size:
        raise DataError(f"{name} holds no token to score: no token of it has text.")
    return TokenStream(
        tokens=tokens,
        byte_lengths=lengths,
        documents=document_numbers(tokens, tokenizer.bos_id),
        name=name,
        sha256=hash_tokens(tokens),
        text_sha256=text_sha256,
        text_bytes=size,
        bytes_from=bytes_from,
        tokenizer=tokenizer,
    )

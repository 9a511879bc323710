"""Documents into one stream, each encoded once and decoded once, no further than is needed.

The denominator of a score is the raw text's bytes. A tokenizer that rewrites text scores an easier text than the one it
was given, so it is refused on any document that does not come back unchanged. Texts that are already as the tokenizer
would write them pass.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from evaladapt.data.accounting import byte_lengths
from evaladapt.data.encoding import Part, encoded_parts, refuse_changed
from evaladapt.data.stream import (
    Source,
    TokenStream,
    document_numbers,
    hash_tokens,
    limited_name,
    no_text_within,
    refuse_no_targets,
)
from evaladapt.data.text import TextFile
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.errors import DataError


class StreamBuilder:
    """Takes documents one after the other and gives the stream of them, or of its first ``limit`` targets."""

    def __init__(
        self, tokenizer: Tokenizer, name: str, *, limit: int | None = None, allow_normalised: bool = False
    ) -> None:
        if limit is not None:
            refuse_no_targets(limit)
        self._tokenizer = tokenizer
        self._name = name
        self._limit = limit
        self._allow_normalised = allow_normalised
        self._tokens = array("i")
        self._documents = self._text_bytes = self._raw_bytes = 0
        self._text_hash = hashlib.sha256()
        self._sources: list[Source] = []
        self.limited = False

    def add_file(self, file: TextFile) -> None:
        """Add the documents of a file, up to the limit.

        Raises:
            DataError: the file cannot be used, or the tokenizer would change a document.
        """
        first, before = self._documents, self._text_bytes
        for number, blocks in enumerate(file.documents(), 1):
            self.add_document(blocks, f"{file.name}, document {number}")
            if self.limited:
                break
        notes = tuple(f"{file.name} {note}" for note in file.notes)
        given = self._documents - first
        self._sources.append(Source(file.name, first, given, self._text_bytes - before, file.empty, notes))

    def add_document(self, blocks: Iterable[str], where: str) -> None:
        """Add one document, BOS first; an empty one adds a BOS and no byte.

        Raises:
            DataError: the tokenizer would change it; the message shows the first difference.
        """
        if self._room() == 0:
            self.limited = True
            return
        self._tokens.append(self._tokenizer.bos_id)
        self._documents += 1
        size = characters = 0
        for part in encoded_parts(blocks, self._tokenizer):
            size += self._add_part(part, where, characters)
            characters += len(part.text)
            if self.limited:
                break
        self._text_bytes += size
        self._text_hash.update(size.to_bytes(8, "little"))

    def _add_part(self, part: Part, where: str, before: int) -> int:
        """Add the tokens there is room for; returns the bytes they stand for."""
        if self._allow_normalised:
            text = self._tokenizer.decode_bytes(part.ids)
            self._raw_bytes += len(part.text.encode("utf-8"))
        else:
            text = refuse_changed(part.text, part.ids, self._tokenizer, where, before=before)
            self._raw_bytes += len(text)
        room = self._room()
        if room is not None and len(part.ids) > room:
            self.limited = True
            text = self._tokenizer.decode_bytes(part.ids[:room])
            self._tokens.frombytes(part.ids[:room].tobytes())
        else:
            self._tokens.frombytes(part.ids.tobytes())
        self._text_hash.update(text)
        return len(text)

    def _room(self) -> int | None:
        """How many more tokens are wanted; None for any number."""
        return None if self._limit is None else self._limit + 1 - len(self._tokens)

    def finish(self) -> TokenStream:
        """The stream.

        Raises:
            DataError: no text, or none among the first targets.
        """
        if not self._text_bytes:
            if self._limit is not None and self.limited:
                raise no_text_within(self._name, self._limit)
            raise DataError(f"{self._name} holds no text: there is nothing to score.")
        tokens: TokenIds = np.frombuffer(self._tokens, dtype=np.int32)
        return TokenStream(
            tokens=tokens,
            byte_lengths=byte_lengths(tokens, self._tokenizer),
            documents=document_numbers(tokens, self._tokenizer.bos_id),
            name=limited_name(self._name, len(tokens) - 1) if self.limited else self._name,
            sha256=hash_tokens(tokens),
            text_sha256=self._text_hash.hexdigest(),
            text_bytes=self._text_bytes,
            raw_bytes=-1 if self.limited else self._raw_bytes,
            limited=self.limited,
            sources=tuple(self._sources) or (Source(self._name, 0, self._documents, self._text_bytes),),
            tokenizer=self._tokenizer,
        )


def stream_from_documents(
    documents: Sequence[str],
    tokenizer: Tokenizer,
    name: str,
    *,
    allow_normalised: bool = False,
    limit: int | None = None,
) -> TokenStream:
    """Tokenise each document by itself, BOS first, and join them.

    Args:
        documents: texts; empty ones add a BOS and no byte.
        tokenizer: lossless, unless the documents come back unchanged.
        name: what to call the data in records and messages.
        allow_normalised: score the text as the tokenizer rewrites it. ``text_bytes`` are then that text's,
            ``raw_bytes`` the original's,
            and the two scores cannot be compared with anybody's on the original.
        limit: where given, only so many targets.

    Raises:
        DataError: no text, or a document that the tokenizer would change; the message shows the first difference.
    """
    builder = StreamBuilder(tokenizer, name, limit=limit, allow_normalised=allow_normalised)
    for number, document in enumerate(documents, 1):
        builder.add_document((document,), f"{name}, document {number}")
        if builder.limited:
            break
    return builder.finish()

"""From the paths a person names to the stream that is scored: texts, token shards, or the default text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaladapt.data.building import StreamBuilder, stream_from_documents
from evaladapt.data.default_text import DEFAULT_NAME, default_documents
from evaladapt.data.shard_stream import stream_from_shards
from evaladapt.data.stream import TokenStream
from evaladapt.data.text import TextFile
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import UsageError

SHARD_SUFFIX = ".bin"


def load_stream(
    paths: Sequence[Path], tokenizer: Tokenizer, *, text_field: str | None = None, limit_tokens: int | None = None
) -> TokenStream:
    """The stream of the named files in order, or of the default text where none is named.

    Args:
        paths: text files (see :class:`~evaladapt.data.text.TextFile`), or token shards.
        tokenizer: the model's.
        text_field: the field or column that holds the text of a record; ``text`` where it is not given.
        limit_tokens: how many targets are wanted; no more is read and encoded than they need.

    Raises:
        DataError: a file is missing, empty, no text, or of another tokenizer; or there is no text within the limit.
        UsageError: text files and shards are mixed.
    """
    shards = [path for path in paths if path.suffix.lower() == SHARD_SUFFIX]
    if shards and len(shards) < len(paths):
        raise UsageError(
            "name either text files or token shards (.bin), not both: the order of documents would be lost"
        )
    if shards:
        return stream_from_shards(shards, tokenizer, limit=limit_tokens)
    if not paths:
        return stream_from_documents(default_documents(), tokenizer, DEFAULT_NAME, limit=limit_tokens)
    files = [TextFile(path, text_field) for path in paths]
    builder = StreamBuilder(tokenizer, "+".join(file.name for file in files), limit=limit_tokens)
    for file in files:
        builder.add_file(file)
        if builder.limited:
            break
    return builder.finish()


def remarks(stream: TokenStream) -> list[str]:
    """What a person should know about how a stream was read, one line each: what came from where if there are several
    files, what was left out, and what is odd about a file."""
    lines = []
    if len(stream.sources) > 1:
        lines += [f"{s.name}: {s.documents:,} documents, {s.text_bytes:,} bytes" for s in stream.sources]
    for source in stream.sources:
        if source.empty:
            lines.append(f"{source.name}: {source.empty:,} empty documents were left out")
        lines += source.notes
    return lines

"""From the paths a person names to the stream that is scored: texts, token shards, or the default text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaladapt.data.default_text import DEFAULT_NAME, default_documents
from evaladapt.data.shards import stream_from_shards
from evaladapt.data.stream import TokenStream, stream_from_documents
from evaladapt.data.text import read_documents
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import UsageError

SHARD_SUFFIX = ".bin"


def load_stream(paths: Sequence[Path], tokenizer: Tokenizer) -> TokenStream:
    """The stream of the named files in order, or of the default text where none is named.

    Raises:
        DataError: a file is missing, empty, no text, or of another tokenizer.
        UsageError: text files and shards are mixed.
    """
    shards = [path for path in paths if path.suffix == SHARD_SUFFIX]
    if shards and len(shards) < len(paths):
        raise UsageError(
            "name either text files or token shards (.bin), not both: the order of documents would be lost"
        )
    if shards:
        return stream_from_shards(shards, tokenizer)
    name = "+".join(path.name for path in paths) or DEFAULT_NAME
    return stream_from_documents(load_documents(paths), tokenizer, name)


def load_documents(paths: Sequence[Path]) -> list[str]:
    """The documents of text files in order, or those of the default text."""
    if not paths:
        return default_documents()
    return [document for path in paths for document in read_documents(path)]

"""Token shards as the stream that is scored: checked against their tokenizer, their manifest and their sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaladapt.data.manifest import Split, split_of
from evaladapt.data.reading.opening import sha256_of
from evaladapt.data.shards import map_shard, read_shard
from evaladapt.data.sidecar import refuse_impossible, sidecar_of, without_sidecars
from evaladapt.data.stream import (
    Source,
    TokenStream,
    documents_from_tokens,
    no_text_within,
    refuse_no_targets,
    stream_from_tokens,
)
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.errors import DataError
from evaladapt.system.text import safe

EVIDENCE_PER_PIECE = 20


def stream_from_shards(
    paths: Sequence[Path], tokenizer: Tokenizer, name: str | None = None, *, limit: int | None = None
) -> TokenStream:
    """The tokens of contest shards, in the order given, as one stream.

    Args:
        paths: ``.bin`` files; sidecars among them are read as such.
        tokenizer: what made them.
        name: what to call the data.
        limit: where given, only so many targets, and no more is read than they need; the shards' hashes are then not
            compared with the manifest's.

    Raises:
        DataError: a shard is damaged, is not the one its manifest describes, or was written with another tokenizer, as
            far as its tokens show it; or its bytes are not those of the manifest.
        UsageError: only sidecars were named.
    """
    paths = without_sidecars(paths)
    if limit is not None:
        refuse_no_targets(limit)
    read = _read(paths, tokenizer, None if limit is None else limit + 2)
    label = name or ", ".join(safe(path.name) for path in paths)
    _refuse_foreign_ids(read.tokens, tokenizer, label)
    if limit is not None and len(read.tokens) > limit + 1 and (read.tokens == tokenizer.bos_id).all():
        raise no_text_within(label, limit)
    documents = _refusing_broken(documents_from_tokens(read.tokens, tokenizer), label)
    stream = stream_from_tokens(
        read.tokens, tokenizer, label, documents=documents, sidecar=read.sidecar, bytes_from=read.bytes_from
    )
    stream = replace(stream, sources=_sources(stream, read, paths))
    if limit is None:
        return _agreeing_with_manifest(stream, paths)
    return stream.limit(limit)


@dataclass(frozen=True)
class _Read:
    """Tokens of several shards, where each begins, and what their sidecars say."""

    tokens: TokenIds
    starts: list[int]
    sidecar: npt.NDArray[np.int32] | None
    bytes_from: str


def _read(paths: Sequence[Path], tokenizer: Tokenizer, limit: int | None) -> _Read:
    """The first ``limit`` tokens of the shards, or all."""
    if not paths:
        raise DataError("No shards given. Name the .bin files, or write some with: evaladapt data prepare")
    tokens, counts, starts, sidecars = [], [], [0], []
    for path in paths:
        left = None if limit is None else limit - starts[-1]
        if left is not None and left <= 0:
            break
        _refuse_other_tokenizer(path, tokenizer, hashed=limit is None)
        # One array of all shards is made below, so that no shard is held twice as int32.
        tokens.append(read_shard(path, tokenizer.vocab_size, expect_bos=tokenizer.bos_id, limit=left))
        starts.append(starts[-1] + len(tokens[-1]))
        sidecar = sidecar_of(path)
        sidecars.append(sidecar)
        if sidecar is not None:
            counts.append(map_shard(sidecar, left))
            if len(counts[-1]) != len(tokens[-1]):
                raise DataError(
                    f"{sidecar} has {len(counts[-1]):,} byte counts, and {path.name} has {len(tokens[-1]):,} tokens. "
                    "It does not belong to this shard; move it away to count the tokens' own bytes."
                )
    joined: TokenIds = np.concatenate(tokens, dtype=np.int32)
    if not counts:
        return _Read(joined, starts, None, "")
    if None in sidecars:
        raise DataError(f"{paths[sidecars.index(None)]} has no sidecar beside it, and another shard named here has.")
    lengths: npt.NDArray[np.int32] = np.concatenate(counts, dtype=np.int32)
    refuse_impossible(", ".join(map(str, sidecars)), lengths, joined == tokenizer.bos_id)
    return _Read(joined, starts, lengths, ", ".join(safe(path.name) for path in sidecars if path))


def _sources(stream: TokenStream, read: _Read, paths: Sequence[Path]) -> tuple[Source, ...]:
    """What each shard gave; a document that goes on in the next shard belongs to the one where it begins."""
    added = len(stream.tokens) - len(read.tokens)
    sources = []
    for path, start, stop in zip(paths, read.starts[:-1], read.starts[1:], strict=False):
        span = slice(start + added if start else 0, stop + added)
        first, last = int(stream.documents[span.start]), int(stream.documents[span.stop - 1])
        size = int(stream.byte_lengths[span].sum(dtype=np.int64))
        note = f"{safe(path.name)}: bytes are those of its sidecar" if read.sidecar is not None else ""
        sources.append(Source(safe(path.name), first, last + 1 - first, size, notes=(note,) if note else ()))
    return tuple(sources)


def _refuse_other_tokenizer(path: Path, tokenizer: Tokenizer, *, hashed: bool) -> None:
    """Refuse a shard whose manifest names another tokenizer or other content; one without a manifest passes.

    Raises:
        DataError: names both hashes.
    """
    found = split_of(path)
    if found is None:
        return
    manifest, split = found
    if manifest.tokenizer_sha256 != tokenizer.sha256:
        raise DataError(
            f"{path}: wrong tokenizer for the shards. {manifest.path.name} names the tokenizer "
            f"{manifest.tokenizer_sha256[:12]} ({path.parent / manifest.tokenizer_file}), the one in use is "
            f"{tokenizer.sha256[:12]}."
        )
    entry = next(shard for shard in split.shards if shard.file == path.name)
    if path.stat().st_size != entry.bytes or (hashed and sha256_of(path) != entry.sha256):
        raise DataError(
            f"{path} was changed since {manifest.path.name} was written: it is not the file described there. "
            "Run evaladapt data prepare again."
        )


def _agreeing_with_manifest(stream: TokenStream, paths: Sequence[Path]) -> TokenStream:
    """The stream, once every shard's bytes are those of its manifest; where whole splits were read, with the bytes that
    their text had before it was rewritten.

    Raises:
        DataError: a shard counts other bytes than its manifest says.
    """
    splits: dict[Path, tuple[Split, ...]] = {}
    raw = 0
    for path, source in zip(paths, stream.sources, strict=True):
        found = split_of(path)
        if found is None:
            return stream
        _, split = found
        entry = next(shard for shard in split.shards if shard.file == path.name)
        if entry.text_bytes != source.text_bytes:
            raise DataError(
                f"{path}: its tokens count {source.text_bytes:,} bytes, and the manifest beside it says "
                f"{entry.text_bytes:,}. One of the two counts is wrong; run evaladapt data prepare again."
            )
        seen = splits.get(path.parent, ())
        if split not in seen:
            splits[path.parent] = (*seen, split)
            raw += split.text_bytes
    whole = sum(len(split.shards) for found in splits.values() for split in found) == len(set(paths)) == len(paths)
    return replace(stream, raw_bytes=raw) if whole else stream


def _refuse_foreign_ids(tokens: TokenIds, tokenizer: Tokenizer, name: str) -> None:
    """Refuse ids that the tokenizer could not have written: control ids but BOS, or half the vocabulary unused."""
    others = tokenizer.special_ids - {tokenizer.bos_id}
    top = int(tokens.max())
    if others and np.isin(tokens, list(others)).any():
        raise _foreign(name, "they hold control or unknown ids other than BOS")
    if 2 * top < tokenizer.vocab_size and len(tokens) > EVIDENCE_PER_PIECE * tokenizer.vocab_size:
        size = tokenizer.vocab_size
        raise _foreign(
            name, f"among {len(tokens):,} tokens the highest id is {top}, and the tokenizer has {size} pieces"
        )


def _refusing_broken(documents: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The documents, each once it is known to be UTF-8; the last one may end inside a character, as a cut shard
    does."""
    cut: int | None = None
    for number, document in enumerate(documents, 1):
        if cut is not None:
            raise _foreign(name, f"document {cut} does not decode to UTF-8")
        try:
            document.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                raise _foreign(name, f"document {number} does not decode to UTF-8") from None
            cut = number
        yield document


def _foreign(name: str, reason: str) -> DataError:
    return DataError(
        f"{name}: wrong tokenizer for the shards: {reason}. Likely cause: they were written with "
        "another tokenizer; give the .model file that made them."
    )

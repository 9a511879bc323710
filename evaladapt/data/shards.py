"""Token shards in the contest's format: read with every check the format allows, written whole or not at all.

A shard is a header of 256 little-endian int32 (magic 20240520, version 1, number of tokens, rest zero) and then the
tokens as little-endian uint16. Documents follow each other, each opened by BOS; there is no end mark. Format after the
Parameter Golf challenge's own loader. Tokens come from :mod:`evaladapt.data.prepare` and go to the trainer and to
:mod:`evaladapt.data.shard_stream`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaladapt.data.reading.opening import open_regular
from evaladapt.errors import DataError
from evaladapt.system.files import write_atomically

MAGIC = 20240520
VERSION = 1
HEADER_INTS = 256
HEADER_BYTES = 4 * HEADER_INTS
MAX_VOCAB = 1 << 16
LOOK_TOKENS = 1 << 16

ShardTokens = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class ShardFile:
    """A shard on disk and how many tokens it holds."""

    path: Path
    tokens: int


def _header(tokens: int) -> bytes:
    header = np.zeros(HEADER_INTS, dtype="<i4")
    header[:3] = MAGIC, VERSION, tokens
    return header.tobytes()


def write_shard(path: Path, tokens: npt.NDArray[np.integer]) -> ShardFile:
    """Write one shard.

    Raises:
        DataError: an id does not fit 16 bits, or the disk refuses; no half-written file stays.
    """
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < MAX_VOCAB:
        raise DataError(
            f"{path}: a token id does not fit 16 bits. Shards hold vocabularies of at most {MAX_VOCAB} pieces."
        )
    write_atomically(path, [_header(len(tokens)), tokens.astype("<u2").tobytes()])
    return ShardFile(path, len(tokens))


def write_shards(
    folder: Path, prefix: str, documents: Iterable[npt.NDArray[np.integer]], shard_tokens: int
) -> list[ShardFile]:
    """Write documents (each with its BOS) into ``prefix_000000.bin``, …; a shard is closed at the first document end
    past ``shard_tokens``, so that no document is cut in two."""
    shards: list[ShardFile] = []
    held: list[npt.NDArray[np.integer]] = []
    count = 0
    for document in documents:
        held.append(document)
        count += len(document)
        if count >= shard_tokens:
            shards.append(write_shard(folder / f"{prefix}_{len(shards):06d}.bin", np.concatenate(held)))
            held, count = [], 0
    if held:
        shards.append(write_shard(folder / f"{prefix}_{len(shards):06d}.bin", np.concatenate(held)))
    return shards


def map_shard(path: Path, limit: int | None = None) -> ShardTokens:
    """The numbers in a file of the shards' format, mapped from disk, not copied: a large file costs no memory until it
    is read. With ``limit`` only the first so many.

    Raises:
        DataError: missing, not a shard, another version, cut short or too long.
    """
    count = _checked_count(path)
    kept = count if limit is None else min(count, limit)
    return np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES, shape=(kept,))


def read_shard(path: Path, vocab_size: int, *, expect_bos: int | None = None, limit: int | None = None) -> ShardTokens:
    """The tokens of one shard, mapped from disk.

    Args:
        path: the ``.bin`` file.
        vocab_size: every id must be below it.
        expect_bos: where given, this id must occur, since every document starts with it.
        limit: where given, only the first so many tokens are checked and returned.

    Raises:
        DataError: not a shard, another version, cut short or too long, or written with another tokenizer.
    """
    whole = map_shard(path)
    tokens = whole[:limit]
    top = int(tokens.max())
    if top >= vocab_size:
        raise DataError(
            f"{path}: wrong tokenizer for the shards. They hold token id {top}, the tokenizer has {vocab_size} pieces "
            f"(ids 0 to {vocab_size - 1}). Likely cause: {_likely_cause(path, top)}"
        )
    if expect_bos is not None and not _holds(whole, expect_bos):
        raise DataError(
            f"{path}: wrong tokenizer for the shards. Every document starts with BOS, and the tokenizer's BOS "
            f"(id {expect_bos}) does not occur. Likely cause: the shards were written with another tokenizer."
        )
    return tokens


def _holds(tokens: ShardTokens, token: int) -> bool:
    """Whether the token occurs; read no further than that."""
    starts = range(0, len(tokens), LOOK_TOKENS)
    return any(bool((tokens[start : start + LOOK_TOKENS] == token).any()) for start in starts)


def _likely_cause(path: Path, top: int) -> str:
    manifest = path.parent / "manifest.json"
    if manifest.exists():
        return f"the shards were written with the tokenizer that {manifest} names; give that one."
    size = next(size for size in (1024, 2048, 4096, 8192, 16384, 32768, MAX_VOCAB) if top < size)
    return f"the shards were written with a tokenizer of {size} pieces."


def _checked_count(path: Path) -> int:
    """The number of tokens that the header states, once the file's size agrees with it."""
    if not path.exists():
        raise DataError(f"No shard {path}. Write shards with: evaladapt data prepare TEXT --out {path.parent}")
    with open_regular(path) as file:
        head = file.read(HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
    if len(head) < HEADER_BYTES:
        raise DataError(f"{path} is no token shard: {len(head)} bytes, and the header alone has {HEADER_BYTES}.")
    header = np.frombuffer(head, dtype="<i4")
    if header[0] != MAGIC:
        raise DataError(f"{path} is no token shard: it starts with {header[0]}, a shard with {MAGIC}.")
    if header[1] != VERSION:
        raise DataError(f"{path}: shard format version {header[1]}; this program reads version {VERSION}.")
    if header[3:].any():
        raise DataError(f"{path}: the header is damaged, its reserved part is not zero.")
    count, held = int(header[2]), size - HEADER_BYTES
    if count < 1 or held != 2 * count:
        state = "cut short" if held < 2 * count else "longer than its header says"
        raise DataError(
            f"{path} is {state}: the header promises {count} tokens ({2 * count} bytes), the file holds {held} bytes."
        )
    return count


def read_shards(paths: Sequence[Path], vocab_size: int, *, expect_bos: int | None = None) -> Iterator[ShardTokens]:
    """The tokens of several shards, one after the other, each checked when its turn comes."""
    if not paths:
        raise DataError("No shards given. Name the .bin files, or write some with: evaladapt data prepare")
    for path in paths:
        yield read_shard(path, vocab_size, expect_bos=expect_bos)

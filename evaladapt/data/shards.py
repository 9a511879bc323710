"""Token shards in the contest's format: read with every check the format allows, written whole or not at all.

A shard is a header of 256 little-endian int32 (magic 20240520, version 1, number of tokens, rest zero) and then the
tokens as little-endian uint16. Documents follow each other, each opened by BOS; there is no end mark. Format after the
Parameter Golf challenge's own loader. Tokens come from :mod:`evaladapt.data.prepare` and go to the trainer and to
``stream_from_shards``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaladapt.data.manifest import refuse_other_tokenizer
from evaladapt.data.stream import TokenStream, documents_from_tokens, stream_from_tokens
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.errors import DataError
from evaladapt.system.files import write_atomically

MAGIC = 20240520
VERSION = 1
HEADER_INTS = 256
HEADER_BYTES = 4 * HEADER_INTS
MAX_VOCAB = 1 << 16
EVIDENCE_PER_PIECE = 20

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


def read_shard(path: Path, vocab_size: int, *, expect_bos: int | None = None) -> ShardTokens:
    """The tokens of one shard, mapped from disk, not copied: a large shard costs no memory until it is read.

    Args:
        path: the ``.bin`` file.
        vocab_size: every id must be below it.
        expect_bos: where given, this id must occur, since every document starts with it.

    Raises:
        DataError: not a shard, another version, cut short or too long, or written with another tokenizer.
    """
    count = _checked_count(path)
    tokens: ShardTokens = np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES, shape=(count,))
    top = int(tokens.max())
    if top >= vocab_size:
        raise DataError(
            f"{path}: wrong tokenizer for the shards. They hold token id {top}, the tokenizer has {vocab_size} pieces "
            f"(ids 0 to {vocab_size - 1}). Likely cause: {_likely_cause(path, top)}"
        )
    if expect_bos is not None and not np.any(tokens == expect_bos):
        raise DataError(
            f"{path}: wrong tokenizer for the shards. Every document starts with BOS, and the tokenizer's BOS "
            f"(id {expect_bos}) does not occur. Likely cause: the shards were written with another tokenizer."
        )
    return tokens


def _likely_cause(path: Path, top: int) -> str:
    manifest = path.parent / "manifest.json"
    if manifest.exists():
        return f"the shards were written with the tokenizer that {manifest} names; give that one."
    size = next(size for size in (1024, 2048, 4096, 8192, 16384, 32768, MAX_VOCAB) if top < size)
    return f"the shards were written with a tokenizer of {size} pieces."


def _checked_count(path: Path) -> int:
    """The number of tokens that the header states, once the file's size agrees with it."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(
            f"No shard {path}. Write shards with: evaladapt data prepare TEXT --out {path.parent}"
        ) from None
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
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


def stream_from_shards(paths: Sequence[Path], tokenizer: Tokenizer, name: str | None = None) -> TokenStream:
    """The tokens of contest shards, in the order given, as one stream.

    Raises:
        DataError: a shard is damaged, or was written with another tokenizer, as far as its tokens show it.
    """
    for path in paths:
        refuse_other_tokenizer(path, tokenizer.sha256)
    label = name or ", ".join(path.name for path in paths)
    shards = [shard.astype(np.int32) for shard in read_shards(paths, tokenizer.vocab_size, expect_bos=tokenizer.bos_id)]
    tokens = shards[0] if len(shards) == 1 else np.concatenate(shards)
    _refuse_foreign_tokens(tokens, tokenizer, label)
    return stream_from_tokens(tokens, tokenizer, label)


def _refuse_foreign_tokens(tokens: TokenIds, tokenizer: Tokenizer, name: str) -> None:
    """Tokens that the tokenizer could not have written: control ids but BOS, half the vocabulary unused, broken
    characters."""
    reason = None
    others = tokenizer.special_ids - {tokenizer.bos_id}
    top = int(tokens.max())
    if others and np.isin(tokens, list(others)).any():
        reason = "they hold control or unknown ids other than BOS"
    elif 2 * top < tokenizer.vocab_size and len(tokens) > EVIDENCE_PER_PIECE * tokenizer.vocab_size:
        reason = (
            f"among {len(tokens):,} tokens the highest id is {top}, and the tokenizer has {tokenizer.vocab_size} pieces"
        )
    else:
        broken = _broken_document(tokens, tokenizer)
        if broken is not None:
            reason = f"document {broken} does not decode to UTF-8"
    if reason:
        raise DataError(
            f"{name}: wrong tokenizer for the shards: {reason}. Likely cause: they were written with "
            "another tokenizer; give the .model file that made them."
        )


def _broken_document(tokens: TokenIds, tokenizer: Tokenizer) -> int | None:
    """Number (from 1) of the first document that is not UTF-8; the last one may end inside a character, as a cut shard
    does."""
    found: int | None = None
    for number, document in enumerate(documents_from_tokens(tokens, tokenizer), 1):
        if found is not None:
            return found
        try:
            document.decode("utf-8")
        except UnicodeDecodeError as error:
            found = number
            if error.reason != "unexpected end of data":
                return found
    return None

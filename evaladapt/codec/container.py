"""The ``.evz`` file: a fixed head, the recipe, where documents start, the range-coded payload, and a checksum.

offset  bytes  what (little-endian)
0       4      "EVZ\\x1a"
4       1      format version, 1
5       1      spelling of the text: 0 by the tokenizer, 1 by pieces
6       2      bytes of the recipe
8       4      bytes of the document table
12      4      bytes of the payload
16      4      targets, N
20      4      bytes of the text
24      16     artifact: first half of its SHA-256
40      16     composition: first half of the SHA-256 of all its options and versions
56      16     text: first half of its SHA-256
72      8      canary: of one forward on the machine that wrote the file
80             recipe (JSON), document table (gaps between BOS tokens as base-128 numbers; nothing for one document),
               payload, CRC-32 of everything before it
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaladapt.codec.problems import CodecError
from evaladapt.codec.recipe import Recipe
from evaladapt.codec.text import Spelling
from evaladapt.data.boundaries import pack_boundaries, unpack_boundaries
from evaladapt.errors import DataError
from evaladapt.system.files import read_regular

MAGIC = b"EVZ\x1a"
VERSION = 1
HEAD = struct.Struct("<4sBBHIIII16s16s16s8s")
CRC = struct.Struct("<I")
MAX_TEXT_BYTES = 1 << 27
"""Longest text. Coding it would take weeks; a file that declares more is refused before anything is allocated."""
MAX_FILE_BYTES = 1 << 29


@dataclass(frozen=True)
class Identity:
    """Hashes that tell what a file belongs to: artifact, composition and text [16], canary [8]."""

    artifact: bytes
    composition: bytes
    text: bytes
    canary: bytes

    def told(self) -> dict[str, str]:
        """As words."""
        return {"model": self.artifact.hex(), "composition": self.composition.hex(), "text": self.text.hex(),
                "arithmetic": self.canary.hex()}  # fmt: skip


@dataclass(frozen=True)
class EvzFile:
    """A whole file, taken apart."""

    spelling: Spelling
    targets: int
    text_bytes: int
    identity: Identity
    recipe: Recipe
    document_starts: NDArray[np.int64]
    payload: bytes

    @property
    def header_bytes(self) -> int:
        """Bytes of head, recipe and checksum: what a file has whatever its text."""
        return HEAD.size + len(self.recipe.to_json()) + CRC.size

    def pack(self) -> bytes:
        """The file's bytes."""
        recipe, table = self.recipe.to_json(), pack_boundaries(self.document_starts)
        who = self.identity
        head = HEAD.pack(MAGIC, VERSION, self.spelling, len(recipe), len(table), len(self.payload), self.targets,
                         self.text_bytes, who.artifact, who.composition, who.text, who.canary)  # fmt: skip
        content = head + recipe + table + self.payload
        return content + CRC.pack(zlib.crc32(content))


def read_evz(path: Path) -> EvzFile:
    """Read and check a file.

    Raises:
        CodecError: it cannot be read, is no ``.evz`` file, of another version, or not whole.
    """
    try:
        content = read_regular(path, MAX_FILE_BYTES)
    except DataError as error:
        raise CodecError(str(error)) from error
    try:
        return parse_evz(content)
    except CodecError as error:
        raise CodecError(f"{path}: {error}") from error


def parse_evz(content: bytes) -> EvzFile:
    """Take a file's bytes apart; nothing is believed before the checksum holds.

    Raises:
        CodecError: as :func:`read_evz`.
    """
    if content[: len(MAGIC)] != MAGIC:
        raise CodecError("this is no .evz file. evaladapt encode writes them")
    if len(content) < HEAD.size + CRC.size:
        raise CodecError(f"the file has {len(content)} bytes, too few for any .evz file: it is cut off")
    if content[len(MAGIC)] != VERSION:
        raise CodecError(
            f"the file is of format version {content[len(MAGIC)]}; this evaladapt reads version {VERSION}, so take"
            " the evaladapt that wrote it"
        )
    (_, _, spelling, recipe_bytes, table_bytes, payload_bytes, targets, text_bytes, *hashes) = HEAD.unpack_from(content)
    declared = HEAD.size + recipe_bytes + table_bytes + payload_bytes + CRC.size
    if len(content) != declared:
        kind = "cut off" if len(content) < declared else "followed by something else, or changed"
        raise CodecError(f"the file has {len(content)} bytes and says {declared}: it is {kind}")
    if CRC.unpack(content[-CRC.size :])[0] != zlib.crc32(content[: -CRC.size]):
        raise CodecError("the file was changed after it was written: its checksum does not hold. Fetch it again")
    if text_bytes > MAX_TEXT_BYTES:
        raise CodecError(f"the file says its text has {text_bytes:,} bytes; the limit is {MAX_TEXT_BYTES:,}")
    if spelling not in tuple(Spelling):
        raise CodecError(f"the file's spelling {spelling} is none that this version knows")
    table_at = HEAD.size + recipe_bytes
    payload_at = table_at + table_bytes
    try:
        starts = unpack_boundaries(content[table_at:payload_at], targets)
    except DataError as error:
        raise CodecError(f"the file cannot be read: {error}") from error
    if targets > text_bytes + 2 * len(starts):
        raise CodecError(f"the file says that {text_bytes} bytes of text take {targets} tokens, which cannot be")
    return EvzFile(
        spelling=Spelling(spelling),
        targets=targets,
        text_bytes=text_bytes,
        identity=Identity(*hashes),
        recipe=Recipe.from_json(content[HEAD.size : table_at]),
        document_starts=starts,
        payload=content[payload_at : -CRC.size],
    )

"""Compressed files as their content: gzip, bzip2 and xz by the standard library, zstd by the package zstandard."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from evaladapt.data.reading.kinds import Packing
from evaladapt.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE_BYTES = 1 << 10
"""How much of a file is unpacked at once: four bytes of a zstd frame can stand for 128 KiB."""
MOST_WINDOW = 1 << 27
"""Bytes of memory that a file may ask its decompressor for; ``xz -9`` asks for half of it."""
TRUSTED_BYTES = 64 << 20
MOST_EXPANSION = 1000
"""A file that grows more than this many times, beyond ``TRUSTED_BYTES``, was made to fill memory: text compresses about
three to ten times."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Unpacked(io.RawIOBase):
    """A compressed file as its content; what goes wrong in it is a :class:`DataError` that names it."""

    def __init__(self, file: BinaryIO, packing: Packing, path: Path) -> None:
        self._path = path
        self._size = os.fstat(file.fileno()).st_size
        self._given = 0
        self._inner, fault = _decompressor(file, packing, path)
        self._faults: tuple[type[Exception], ...] = (fault, EOFError, OSError)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer as far as one piece of content goes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        try:
            data = self._inner.read(len(view))
        except self._faults as error:
            raise DataError(f"{self._path} is damaged or cut short: {error}.") from error
        view[: len(data)] = data
        self._given += len(data)
        if self._given > TRUSTED_BYTES and self._given > MOST_EXPANSION * self._size:
            raise DataError(
                f"{self._path} grows to more than {MOST_EXPANSION:,} times its size, as no text does. If you trust it, "
                "unpack it first."
            )
        return len(data)


def _decompressor(file: BinaryIO, packing: Packing, path: Path) -> tuple[_Readable, type[Exception]]:
    """A reader of the content, and what it raises beside the usual when the file is damaged."""
    match packing:
        case Packing.GZIP:
            return cast(_Readable, gzip.GzipFile(fileobj=file)), zlib.error
        case Packing.BZIP2:
            return _Frames(file, bz2.BZ2Decompressor), ValueError
        case Packing.XZ:
            return _Frames(file, lambda: lzma.LZMADecompressor(memlimit=MOST_WINDOW)), lzma.LZMAError
        case _:
            return _zstd(file, path)


def _zstd(file: BinaryIO, path: Path) -> tuple[_Readable, type[Exception]]:
    try:
        import zstandard
    except ImportError:
        raise DataError(
            f"{path} is compressed with zstd, and the package for that is not installed. Install it: "
            f"pip install 'evaladapt[data]'; or unpack the file: zstd -d {path}"
        ) from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW)
    return _Frames(file, decompressor.decompressobj), zstandard.ZstdError


class _Frames:
    """The frames of a file one after the other, in little memory. zstandard's own stream reader would take a file that
    is cut short for a whole one, and Python's xz reader grants any window."""

    def __init__(self, file: BinaryIO, begin: Callable[[], Any]) -> None:
        self._file = file
        self._begin = begin
        self._frame: Any = None
        self._held = self._packed = b""
        self._at = 0

    def read(self, size: int, /) -> bytes:
        """At least one byte and at most ``size``; none at the end."""
        while self._at == len(self._held):
            self._packed = self._packed or self._file.read(PIECE_BYTES)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the last frame does not end")
                return b""
            self._frame = self._frame or self._begin()
            self._held, self._at = self._frame.decompress(self._packed), 0
            ended = self._frame.eof
            self._packed = self._frame.unused_data if ended else b""
            self._frame = None if ended else self._frame
        data = self._held[self._at : self._at + size]
        self._at += len(data)
        return data

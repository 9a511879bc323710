"""General compressors at their strongest settings, as far as their packages are installed; xz always is."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

Bytes = Callable[[bytes], bytes]

PPMD_ORDER = 8
PPMD_MEGABYTES = 256
"""More than PPMd fills on texts of up to some ten million bytes, so that it never forgets."""


@dataclass(frozen=True)
class Coder:
    """Both directions of a compressor."""

    compress: Bytes
    decompress: Bytes


@dataclass(frozen=True)
class Rival:
    """A compressor by name; ``package`` is what has to be installed for ``load``, None where Python brings it."""

    name: str
    package: str | None
    load: Callable[[], Coder]

    @property
    def missing(self) -> bool:
        """Whether its package is not installed."""
        return self.package is not None and find_spec(self.package) is None


def _xz() -> Coder:
    return Coder(lambda content: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME), lzma.decompress)


def _brotli() -> Coder:
    brotli = import_module("brotli")
    return Coder(lambda content: brotli.compress(content, quality=11, lgwin=24), brotli.decompress)


def _zstd() -> Coder:
    zstandard = import_module("zstandard")
    return Coder(zstandard.ZstdCompressor(level=22).compress, zstandard.ZstdDecompressor().decompress)


def _ppmd() -> Coder:
    pyppmd = import_module("pyppmd")
    options = {"max_order": PPMD_ORDER, "mem_size": PPMD_MEGABYTES << 20, "variant": "I"}
    return Coder(lambda content: pyppmd.compress(content, **options),
                 lambda packed: pyppmd.decompress(packed, **options))  # fmt: skip


RIVALS = (
    Rival("xz -9e", None, _xz),
    Rival("brotli -q 11", "brotli", _brotli),
    Rival("zstd -22", "zstandard", _zstd),
    Rival(f"PPMd order {PPMD_ORDER}, {PPMD_MEGABYTES} MB", "pyppmd", _ppmd),
)

"""Coders: from codes or bytes to the bytes that are stored, by name and version.

``encode_codes`` picks the coder with the smaller result; ``decode_codes`` obeys the name in the manifest. A coder
never returns more than was declared, whatever its input says.
"""

from __future__ import annotations

import lzma
from typing import Any

import numpy as np

from evaladapt.artifact.coding import bell_coder, bell_fit
from evaladapt.artifact.problems import DamagedArtifact, UnsupportedArtifact
from evaladapt.artifact.quantize import Codes
from evaladapt.errors import near_miss

BELLS = "range@2"
LZMA = "lzma@1"
RAW = "raw@1"
CODERS = (LZMA, BELLS, RAW)
CODE_CODERS = (BELLS, LZMA)
"""Those for codes, the likeliest to win first."""
LZMA_FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 23, "lc": 0, "lp": 0, "pb": 0}
]
"""Fixed by the format, so that a file cannot choose how much memory reading it takes."""


def encode_codes(codes: Codes, largest: int, allowed: tuple[str, ...] = CODE_CODERS) -> tuple[str, bytes]:
    """``(coder, payload)`` of a matrix of codes in ``-largest..largest``: the smallest of what ``allowed`` gives.

    ``range@2`` wins nearly always, ``lzma@1`` where rows repeat.
    """
    payloads = {name: _encode_as(name, codes, largest) for name in allowed}
    best = min(payloads, key=lambda name: len(payloads[name]))
    return best, payloads[best]


def _encode_as(coder: str, codes: Codes, largest: int) -> bytes:
    if coder == BELLS:
        return bell_coder.encode(codes, largest, bell_fit.fit_field(codes, largest).field)
    return lzma_encode((codes.astype(np.int16) + largest).astype(np.uint8).tobytes())


def decode_codes(coder: str, payload: bytes, shape: tuple[int, int], largest: int) -> Codes:
    """Undo :func:`encode_codes`. Raises :class:`DamagedArtifact` or :class:`UnsupportedArtifact`."""
    if coder == BELLS:
        return bell_coder.decode(payload, shape, largest)
    if coder != LZMA:
        raise unknown_coder(coder, CODE_CODERS)
    symbols = np.frombuffer(lzma_decode(payload, shape[0] * shape[1]), np.uint8)
    if (symbols > 2 * largest).any():
        raise DamagedArtifact("a code is outside the quantiser's range")
    return (symbols.astype(np.int16) - largest).astype(np.int8).reshape(shape)


def lzma_encode(data: bytes) -> bytes:
    """A raw LZMA2 stream."""
    return lzma.compress(data, format=lzma.FORMAT_RAW, filters=LZMA_FILTERS)


def lzma_decode(payload: bytes, size: int) -> bytes:
    """Exactly ``size`` bytes from a raw LZMA2 stream; at most one byte more is ever produced.

    Raises:
        DamagedArtifact: the stream is broken, or holds more or less than ``size`` bytes.
    """
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=LZMA_FILTERS)
    try:
        data = decoder.decompress(payload, max_length=size + 1)
    except lzma.LZMAError as error:
        raise DamagedArtifact(f"the lzma stream is broken: {error}") from error
    if len(data) != size or not decoder.eof or decoder.unused_data:
        raise DamagedArtifact(f"the lzma stream does not hold exactly the {size} bytes it declares")
    return data


def unknown_coder(name: str, known: tuple[str, ...]) -> UnsupportedArtifact:
    """The error for a coder that is not in ``known``."""
    return UnsupportedArtifact(
        f"coder {name[:40]!r} is unknown.{near_miss(name, known)} Known here: {', '.join(known)}. "
        "A newer evaladapt may read it: pip install -U evaladapt"
    )

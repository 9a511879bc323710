"""Seeds of random generators: keyed, never sequential.

A generator that remembers would give other numbers in another order of questions or after a resume. So a draw is named
by a key, and everybody who asks with the same key gets the same numbers.
"""

from __future__ import annotations

import hashlib
import operator
from typing import SupportsIndex, TypeAlias

Key: TypeAlias = "SupportsIndex | str | tuple[Key, ...]"


def seed_of(*key: Key) -> int:
    """64 bits that depend on ``key`` only. Equal numbers are one key, whether Python's, numpy's or torch's."""
    text = repr(tuple(_plain(part) for part in key)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _plain(part: Key) -> object:
    if isinstance(part, str):
        return str(part)
    return tuple(map(_plain, part)) if isinstance(part, tuple) else operator.index(part)

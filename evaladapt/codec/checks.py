"""Checks inside the coded text, so that a decoder that has lost its way says where, soon, instead of writing on.

After some targets eight bits are coded that hash all tokens so far. A decoder whose distributions differ from the
encoder's reads another number there, with 255 chances in 256 each time. The first come early, because what breaks
usually breaks early; then one byte in 8,192 targets is about 0.02 % of a file.
"""

from __future__ import annotations

import zlib

import numpy as np

CHECK_VALUES = 256
FIRST_CHECKS = (32, 128, 512, 2048)
REGULAR_CHECK = 8192


class TokenCheck:
    """The running hash of the tokens settled so far."""

    def __init__(self, crc: int = 0) -> None:
        self.crc = crc

    def add(self, token: int) -> None:
        """The next token."""
        self.crc = zlib.crc32(np.int32(token).tobytes(), self.crc)

    @property
    def value(self) -> int:
        """What is coded."""
        return self.crc % CHECK_VALUES


def check_due(target: int) -> bool:
    """Whether a check follows a target."""
    return target in FIRST_CHECKS or target % REGULAR_CHECK == 0

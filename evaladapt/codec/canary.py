"""By what a decoder knows before it starts that its arithmetic is the encoder's: the player's, and this process's.

Same machine, same build: same bits. Another processor, another torch, another kernel: other last bits, and the text
would go wrong somewhere in the middle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from evaladapt.codec.frequencies import intervals

CANARY_BYTES = 8


def canary_of(ready: Mapping[str, Any]) -> bytes:
    """Of a performer that is ready with its canary; integer frequencies are made here, so they are part of it."""
    made_up = np.log(np.arange(1, 4097, dtype=np.float32) / np.float32(4096 * 4097 / 2))
    ends = intervals(made_up.astype(np.float32)).ends
    return hashlib.sha256(str(ready["canary"]).encode() + ends.tobytes()).digest()[:CANARY_BYTES]

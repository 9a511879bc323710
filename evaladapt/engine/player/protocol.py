"""What a judge and a player say to each other: kinds of messages and their layout. Both sides read this page.

    judge                                       player
    RECIPE   what to open and compose      →
                                           ←    PLAN     of the base, before anybody's code is imported
                                           ←    READY    what it is, or FAILED
    SEAL                                   →
                                           ←    SEALED   by what
    TEXT     shape of the text, beginning  →
                                           ←    WINDOWS  of the next batch
    FORK     before a group of batches     →
                                           ←    FORKED   the twin's process
    INPUTS   of the batch, no more         →
                                           ←    ANSWER   distributions, in the shared memory, piece by piece
    TOOK     the piece; go on              →
    SETTLED  targets and charges           →
                                           ←    STATE    where SETTLED asked for a snapshot
                                           ←    DONE     what it says of itself

    judge                                       twin
    QUESTION one target, and its prefix    →
                                           ←    REPLY    its distribution, after every strategy where asked

    judge                                       clerk, after READY, SEAL and SEALED
    DOCUMENT its text                      →
                                           ←    TOKENS   its ids

Arrays are little-endian: tokens int32, positions int64, charges float64, log-probabilities float32.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEGMENT_BYTES = 64 << 20
"""Of the memory that distributions cross in; larger answers come in pieces."""
MOST_JSON = 8 << 20
MOST_NAME = 1 << 12
MOST_STATE = 4 << 30
ANSWER = struct.Struct("<qqq")
"""First target, rows in the memory, rows of the part still to come."""


class Kind(IntEnum):
    """Of a message."""

    RECIPE, SEAL, TEXT, FORK, INPUTS, TOOK, SETTLED = range(1, 8)
    READY, SEALED, WINDOWS, FORKED, ANSWER, STATE, DONE, FAILED, PLAN = range(32, 41)
    QUESTION, REPLY = 64, 65
    DOCUMENT, TOKENS = 96, 97


class Rows(IntEnum):
    """What else of its batch a target's prediction needs, by what the strategies declare.

    ``ALONE``: its own row. ``FIRST``: the batch's first row too, whose past state shared by the rows is fitted on.
    ``BEFORE``: all rows up to its own, because a strategy folds over the batch, or rows continue one another.
    """

    ALONE, FIRST, BEFORE = range(3)


@dataclass(frozen=True)
class Question:
    """What a twin is asked.

    Attributes:
        target: whose distribution.
        whole_shape: predict the batch in the shape it had, with nothing known from the target on, and not as the rows
            up to the target.
        rows: which rows of the target's batch are predicted, see :class:`Rows`.
        trail: answer with the distribution after every strategy.
        tokens: int32, from the frontier of the group up to the target, which is not among them.
        charges: float64, of the group's targets before the target's batch.
    """

    target: int
    whole_shape: bool
    rows: Rows
    trail: bool
    tokens: NDArray[np.int32]
    charges: NDArray[np.float64]

    def pack(self) -> bytes:
        """As a message."""
        flags = self.whole_shape | self.trail << 1 | self.rows << 2
        head = struct.pack("<qqqq", self.target, flags, len(self.tokens), len(self.charges))
        return head + self.tokens.astype("<i4").tobytes() + self.charges.astype("<f8").tobytes()

    @classmethod
    def unpack(cls, content: bytes) -> Question:
        """Back from a message."""
        target, flags, tokens, charges = struct.unpack_from("<qqqq", content)
        return cls(
            target=target,
            whole_shape=bool(flags & 1),
            rows=Rows(flags >> 2),
            trail=bool(flags & 2),
            tokens=np.frombuffer(content, "<i4", tokens, 32),
            charges=np.frombuffer(content, "<f8", charges, 32 + 4 * tokens),
        )


def pack_settled(snapshot: bool, targets: NDArray[np.int32], charges: NDArray[np.float64]) -> bytes:
    """SETTLED: whether a snapshot is wanted, targets [n], charges [n]."""
    return bytes([snapshot]) + targets.astype("<i4").tobytes() + charges.astype("<f8").tobytes()


def unpack_settled(content: bytes) -> tuple[bool, NDArray[np.int32], NDArray[np.float64]]:
    """Back from :func:`pack_settled`."""
    count = (len(content) - 1) // 12
    targets = np.frombuffer(content, "<i4", count, 1)
    return bool(content[0]), targets, np.frombuffer(content, "<f8", count, 1 + 4 * count)


def pack_text(shape: Mapping[str, Any], starts: NDArray[np.int64], tokens: NDArray[np.int32], state: bytes) -> bytes:
    """TEXT: facts as JSON, document starts (none where they are not told), tokens that are scored already, state."""
    head = json.dumps({**shape, "starts": len(starts), "tokens": len(tokens)}).encode()
    return struct.pack("<q", len(head)) + head + starts.astype("<i8").tobytes() + tokens.astype("<i4").tobytes() + state


def unpack_text(content: bytes) -> tuple[dict[str, Any], NDArray[np.int64], NDArray[np.int32], bytes]:
    """Back from :func:`pack_text`."""
    (size,) = struct.unpack_from("<q", content)
    head, at = json.loads(content[8 : 8 + size]), 8 + size
    starts = np.frombuffer(content[at : at + 8 * head["starts"]], "<i8")
    at += 8 * head["starts"]
    tokens = np.frombuffer(content[at : at + 4 * head["tokens"]], "<i4")
    return head, starts, tokens, content[at + 4 * head["tokens"] :]

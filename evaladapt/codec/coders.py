"""The two coders of a run: one writes every target under its distribution, the other finds it out from the bytes.

Both are handed to the engine, which calls ``settle`` once a target's distribution is fixed; they differ in nothing but
the direction, so whatever the engine computes is computed alike on both sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaladapt.codec.checks import CHECK_VALUES, TokenCheck, check_due
from evaladapt.codec.frequencies import intervals
from evaladapt.codec.problems import CodecError, PayloadEndsError
from evaladapt.codec.range_coder import RangeDecoder, RangeEncoder
from evaladapt.codec.text import CodedText
from evaladapt.engine.source import UNKNOWN
from evaladapt.judge.records.snapshot import CoderState

AGAIN = "written again: "
"""Before the names of a decoder's encoder in its state."""


class LostError(Exception):
    """The decoder read what no encoder with its distributions wrote.

    ``target`` is the last one decoded, ``right_until`` the last one before it that a check found right.
    """

    def __init__(self, target: int, right_until: int) -> None:
        super().__init__(target)
        self.target = target
        self.right_until = right_until


class EncodingCoder:
    """Writes the tokens of a text."""

    def __init__(self, text: CodedText) -> None:
        self._tokens = text.tokens
        self._encoder = RangeEncoder()
        self._check = TokenCheck()

    def settle(self, targets: NDArray[np.int64], logprobs: NDArray[np.float32]) -> None:
        """Code ``targets`` [n] under their distributions [n,V]."""
        for target, row in zip(targets.tolist(), logprobs, strict=True):
            token = int(self._tokens[target])
            shares = intervals(row)
            self._encoder.encode(*shares.of(token), shares.total)
            self._check.add(token)
            if check_due(target):
                self._encoder.encode(self._check.value, 1, CHECK_VALUES)

    def finish(self) -> bytes:
        """The payload."""
        return self._encoder.finish()

    def state(self) -> CoderState:
        """Payload, registers and check."""
        return {**self._encoder.state(), "crc": self._check.crc}

    def restore(self, state: CoderState) -> None:
        """Continue from what :meth:`state` returned."""
        self._encoder.restore(state)
        self._check = TokenCheck(_crc(state))


class DecodingCoder:
    """Fills in the tokens of a text of which only the shape is known; ``right_until`` is the last target checked.

    What it reads it writes again, so that at the end the payload is known to be the encoder's to the last byte.
    """

    def __init__(self, text: CodedText, payload: bytes) -> None:
        self._tokens, self._payload = text.tokens, payload
        self._again = RangeEncoder()
        self._decoder = RangeDecoder(payload)
        self._check = TokenCheck()
        self.right_until = 0

    def settle(self, targets: NDArray[np.int64], logprobs: NDArray[np.float32]) -> None:
        """Find out ``targets`` [n]; one at a time, because the next distribution depends on this one.

        Raises:
            LostError: a check failed, or the payload ends early.
        """
        for target, row in zip(targets.tolist(), logprobs, strict=True):
            try:
                self._tokens[target] = self._next(row)
                self._check.add(int(self._tokens[target]))
                if check_due(target):
                    self._hold_check(target)
            except PayloadEndsError:
                last = target if self._tokens[target] != UNKNOWN else target - 1
                raise LostError(last, self.right_until) from None

    def finish(self, targets: int) -> None:
        """Assert that the payload is what an encoder writes for this text.

        Raises:
            LostError: it is not: bytes are left, or others were added.
        """
        if self._again.finish() != self._payload:
            raise LostError(targets, self.right_until)

    def state(self) -> CoderState:
        """Tokens so far, registers and check."""
        known = int(np.argmax(self._tokens == UNKNOWN)) if (self._tokens == UNKNOWN).any() else len(self._tokens)
        return {
            **self._decoder.state(),
            **{f"{AGAIN}{name}": value for name, value in self._again.state().items()},
            "tokens": self._tokens[:known].astype("<i4").tobytes(),
            "crc": self._check.crc,
            "right_until": self.right_until,
        }

    def restore(self, state: CoderState) -> None:
        """Continue from what :meth:`state` returned."""
        known, right_until = state.get("tokens"), state.get("right_until")
        if not isinstance(known, bytes) or not isinstance(right_until, int) or len(known) > 4 * len(self._tokens):
            raise CodecError("the checkpoint holds no tokens; remove it to start over")
        self._tokens[: len(known) // 4] = np.frombuffer(known, "<i4", len(known) // 4)
        self.right_until = right_until
        self._decoder.restore(state)
        again = {name.removeprefix(AGAIN): value for name, value in state.items() if name.startswith(AGAIN)}
        self._again.restore(again)
        self._check = TokenCheck(_crc(state))

    def _next(self, row: NDArray[np.float32]) -> int:
        shares = intervals(row)
        token = shares.symbol_at(self._decoder.position(shares.total))
        self._decoder.consume(*shares.of(token))
        self._again.encode(*shares.of(token), shares.total)
        return token

    def _hold_check(self, target: int) -> None:
        read = self._decoder.position(CHECK_VALUES)
        self._decoder.consume(read, 1)
        self._again.encode(read, 1, CHECK_VALUES)
        if read != self._check.value:
            raise LostError(target, self.right_until)
        self.right_until = target


def _crc(state: CoderState) -> int:
    crc = state.get("crc")
    if not isinstance(crc, int):
        raise CodecError("the checkpoint holds no check; remove it to start over")
    return crc

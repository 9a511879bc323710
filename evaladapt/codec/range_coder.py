"""A range coder for symbols whose frequencies change every time, with a state that can be saved and continued.

Martin's range coding (1979) with the carry handling of LZMA: ``low`` and ``range`` hold 64 bits, whole bytes leave at
the top, and a byte that a carry could still change waits in ``cache`` with the run of 0xFF after it. A symbol is an
interval ``[start, start + size)`` of a total below 2^31, which needs to be no power of two; because ``range`` is kept
at 2^56 or above, cutting it into ``total`` equal parts wastes less than 2^-25 of it.

The artifact room codes whole matrices under fixed tables with the package constriction; the tests hold this coder
against that one.
"""

from __future__ import annotations

from evaladapt.codec.problems import PayloadEndsError
from evaladapt.judge.records.snapshot import CoderState

WORD_BYTES = 8
FULL = (1 << 64) - 1
TOP_BYTE = 56
LEAST_RANGE = 1 << TOP_BYTE
MAX_TOTAL = 1 << 31
NOTHING_CACHED = -1


class RangeEncoder:
    """Appends intervals to ``payload``."""

    def __init__(self) -> None:
        self.payload = bytearray()
        self._low, self._range = 0, FULL
        self._cache, self._waiting = NOTHING_CACHED, 0

    def encode(self, start: int, size: int, total: int) -> None:
        """Code the interval ``[start, start + size)`` of ``total``; ``size`` is at least 1."""
        if not 0 <= start < start + size <= total < MAX_TOTAL:
            raise ValueError(f"no interval: start {start}, size {size}, total {total}")
        part = self._range // total
        self._low += start * part
        self._range = size * part
        while self._range < LEAST_RANGE:
            self._shift()
            self._range <<= 8

    def finish(self) -> bytes:
        """The whole payload: as few further bytes as name a number inside the last interval, if zeros follow them."""
        last = self._low + self._range - 1
        for count in range(WORD_BYTES + 1):
            below = (1 << (8 * (WORD_BYTES - count))) - 1
            chosen = (self._low + below) & ~below
            if chosen <= last:
                break
        self._low = chosen
        for _ in range(count + 1):
            self._shift()
        return bytes(self.payload)

    def state(self) -> CoderState:
        """Payload and registers."""
        registers = {"low": self._low, "range": self._range, "cache": self._cache, "waiting": self._waiting}
        return {"payload": bytes(self.payload), **registers}

    def restore(self, state: CoderState) -> None:
        """Continue from what :meth:`state` returned."""
        self.payload = bytearray(_bytes(state, "payload"))
        self._low, self._range = _int(state, "low"), _int(state, "range")
        self._cache, self._waiting = _int(state, "cache"), _int(state, "waiting")

    def _shift(self) -> None:
        """Move the top byte of ``low`` out, unless a carry could still reach it."""
        carry = self._low > FULL
        if carry or self._low >> TOP_BYTE != 0xFF:
            if self._cache != NOTHING_CACHED:
                self.payload.append((self._cache + carry) & 0xFF)
            self.payload += bytes([0x00 if carry else 0xFF]) * self._waiting
            self._waiting = 0
            self._cache = self._low >> TOP_BYTE & 0xFF
        else:
            self._waiting += 1
        self._low = (self._low & (LEAST_RANGE - 1)) << 8


class RangeDecoder:
    """Reads the intervals of a payload back."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at, self._range, self._code, self._part = 0, FULL, 0, 1
        for _ in range(WORD_BYTES):
            self._code = self._code << 8 | self._next_byte()

    def position(self, total: int) -> int:
        """A number in ``[0, total)`` that lies in the interval coded next; :meth:`consume` must follow."""
        self._part = self._range // total
        return min(self._code // self._part, total - 1)

    def consume(self, start: int, size: int) -> None:
        """Pass over the interval that held the position.

        Raises:
            PayloadEndsError: more was consumed than the payload holds.
        """
        self._code -= start * self._part
        self._range = size * self._part
        while self._range < LEAST_RANGE:
            self._code = self._code << 8 | self._next_byte()
            self._range <<= 8

    def state(self) -> CoderState:
        """Registers and place in the payload."""
        return {"at": self._at, "range": self._range, "code": self._code}

    def restore(self, state: CoderState) -> None:
        """Continue from what :meth:`state` returned."""
        self._at, self._range, self._code = _int(state, "at"), _int(state, "range"), _int(state, "code")

    def _next_byte(self) -> int:
        byte = self._payload[self._at] if self._at < len(self._payload) else 0
        self._at += 1
        if self._at > len(self._payload) + WORD_BYTES:
            raise PayloadEndsError("the coded text ends before its last symbol")
        return byte


def _int(state: CoderState, name: str) -> int:
    value = state.get(name)
    if not isinstance(value, int):
        raise PayloadEndsError(f"the checkpoint holds no number {name!r}; remove it to start over")
    return value


def _bytes(state: CoderState, name: str) -> bytes:
    value = state.get(name)
    if not isinstance(value, bytes):
        raise PayloadEndsError(f"the checkpoint holds no bytes {name!r}; remove it to start over")
    return value

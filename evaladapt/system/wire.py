"""Messages between two processes that do not trust each other: a kind, a length, bytes; nothing is ever unpickled.

A message is ``kind`` (1 byte), ``length`` (8 bytes, little-endian) and that many bytes. The reader says how many bytes
it is ready to take of which kinds, how long it waits, and what else it listens to meanwhile.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Mapping

HEAD = struct.Struct("<BQ")
CHUNK = 1 << 20


class WireError(Exception):
    """The other side closed, kept silent too long, or said what nobody asked for."""


class WireClosed(WireError):
    """The other side has gone."""


class WireSilent(WireError):
    """The other side did not answer in time."""


class Wire:
    """One end of a connection over an open descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, kind: int, *pieces: bytes | memoryview) -> None:
        """Send one message made of ``pieces``.

        Raises:
            WireClosed: nobody reads it.
        """
        self._write(HEAD.pack(kind, sum(len(piece) for piece in pieces)))
        for piece in pieces:
            self._write(piece)

    def receive(
        self,
        limits: Mapping[int, int],
        patience: float | None = None,
        meanwhile: Mapping[int, Callable[[], None]] | None = None,
    ) -> tuple[int, bytes]:
        """The next message.

        Args:
            limits: kinds that are due, each with the most bytes it may have.
            patience: seconds to wait for the whole of it; None waits for ever.
            meanwhile: descriptors to listen to besides, with what to do when one has something to read.

        Raises:
            WireClosed, WireSilent: no message came.
            WireError: it is of another kind, or larger than it may be.
        """
        until = None if patience is None else time.monotonic() + patience
        kind, length = HEAD.unpack(self._read(HEAD.size, until, meanwhile))
        if kind not in limits:
            raise WireError(f"it said {kind}, and nobody had asked for that")
        if length > limits[kind]:
            raise WireError(f"it sent {length:,} bytes where at most {limits[kind]:,} were due")
        return kind, self._read(length, until, meanwhile)

    def _write(self, content: bytes | memoryview) -> None:
        left = memoryview(content).cast("B")
        while left:
            try:
                left = left[os.write(self.descriptor, left[:CHUNK]) :]
            except BlockingIOError:
                select.select([], [self.descriptor], [])
            except OSError as error:
                raise WireClosed(f"it no longer listens ({error.strerror})") from error

    def _read(self, count: int, until: float | None, meanwhile: Mapping[int, Callable[[], None]] | None) -> bytes:
        content = bytearray()
        while len(content) < count:
            if until is not None or meanwhile:
                self._wait(until, meanwhile or {})
            try:
                piece = os.read(self.descriptor, min(CHUNK, count - len(content)))
            except BlockingIOError:
                continue
            except OSError as error:
                raise WireClosed(f"it went away ({error.strerror})") from error
            if not piece:
                raise WireClosed("it went away")
            content += piece
        return bytes(content)

    def _wait(self, until: float | None, meanwhile: Mapping[int, Callable[[], None]]) -> None:
        """Return when there is something to read here, serving the others until then."""
        poll = select.poll()
        for descriptor in (self.descriptor, *meanwhile):
            poll.register(descriptor, select.POLLIN)
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = dict(poll.poll(None if left is None else 1000 * left))
            if not ready or (left == 0 and self.descriptor not in ready):
                raise WireSilent("it did not answer in time")
            for descriptor, serve in meanwhile.items():
                if descriptor in ready:
                    serve()
                    if not ready[descriptor] & select.POLLIN:
                        poll.unregister(descriptor)
            if self.descriptor in ready:
                return

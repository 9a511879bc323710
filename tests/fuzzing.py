"""Changing bytes and JSON at random, for the long and short fuzz runs of every room that reads files."""

from __future__ import annotations

import argparse
import copy
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SECONDS_PER_INPUT = 10
MORE_MEMORY = 256 << 20
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1.5, -0.5, 1e300, "", "x", "\ud800", "../x", "\x1b[2J", [], [0], {},
    {"text": 1}, {"documents": []}, [-1], [[[[]]]],
)  # fmt: skip
ODD_BYTES = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\r\n", b'"', b"\\", b"\\ud800", b"{", b"[" * 2000, b"]",
    b"1" * 5000, b"1e999", b"NaN", b"null", b'{"text": 3}\n', b"\xe2\x96\x81", b"\xf4\x90\x80\x80", b"\x28\xb5\x2f\xfd",
)  # fmt: skip


class Mutations:
    """Draws changes; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def any(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        return choices[int(self.random.integers(len(choices)))]

    def changed(self, before: bytes, most: int = 6) -> bytes:
        """Up to ``most`` changes: a byte, odd bytes put in, a part left out or there twice, the end cut off."""
        data = bytearray(before)
        for _ in range(int(self.random.integers(1, most + 1))):
            at = int(self.random.integers(len(data))) if data else 0
            match self.random.integers(6):
                case 0 | 1:
                    data[at : at + 1] = self.random.bytes(1)
                case 2:
                    data[at:at] = self.any(ODD_BYTES)
                case 3:
                    del data[at : at + int(self.random.integers(1, 60))]
                case 4:
                    data[at:at] = data[at : at + int(self.random.integers(1, 400))]
                case _:
                    if self.random.random() < 0.3:
                        del data[at:]
        return bytes(data)

    def odd(self, value: Any) -> Any:
        """A copy of JSON with one value, somewhere, replaced or left out."""
        result = copy.deepcopy(value)
        place: Any = result
        while True:
            key = self.any(list(place)) if isinstance(place, dict) else int(self.random.integers(len(place)))
            if isinstance(place[key], dict | list) and place[key] and self.random.random() < 0.7:
                place = place[key]
                continue
            if isinstance(place, dict) and self.random.random() < 0.3:
                del place[key]
            else:
                place[key] = self.any(ODD_VALUES)
            return result


def arguments(doc: str | None, inputs: int) -> argparse.Namespace:
    """``--inputs`` and ``--seed`` of a long run."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--inputs", type=int, default=inputs)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def limit_memory() -> None:
    """Let this process have little more memory than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MORE_MEMORY, resource.RLIM_INFINITY))


def long_run(inputs: int, read_next: Callable[[], tuple[str, str]], keep: Callable[[], str]) -> None:
    """Read so many inputs and print what became of them; what raises or takes too long is kept, and ends the run.

    Args:
        read_next: draws an input and reads it; returns its kind, and ``read`` or the error that refused it.
        keep: puts the input that was drawn last where it stays, and says where.
    """
    outcomes: Counter[tuple[str, str]] = Counter()
    started = time.monotonic()
    signal.signal(signal.SIGPROF, _too_slow)
    for number in range(inputs):
        signal.setitimer(signal.ITIMER_PROF, SECONDS_PER_INPUT)
        try:
            outcomes[read_next()] += 1
        except BaseException:
            print(f"input {number} is in {keep()}", flush=True)
            raise
        if (number + 1) % 10_000 == 0:
            print(f"{number + 1:,} inputs, {time.monotonic() - started:,.0f} s", flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)
    for (kind, result), count in sorted(outcomes.items()):
        print(f"{kind:<16} {result:<20} {count:>9,}")


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"one input took more than {SECONDS_PER_INPUT} s of computing")

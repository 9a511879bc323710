"""Windows of training tokens from several shard folders, in an order fixed by the seed.

Each source gives the trainer its share of rows, exactly: the next row comes from the source that is furthest behind its
weight. Inside a source every pass cuts the shards into windows at a new random phase and visits all of them once in
random order. The whole state is therefore one number per source, the rows drawn so far.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from evaladapt.data.shards import ShardTokens, read_shards
from evaladapt.errors import DataError, UsageError


@dataclass(frozen=True)
class Source:
    """A folder of ``train_*.bin`` and ``val_*.bin`` shards and its share of the rows (any positive number)."""

    folder: Path
    weight: float = 1.0

    @property
    def name(self) -> str:
        """The folder's name, for messages and metrics."""
        return self.folder.name

    def sha256(self) -> str:
        """Of the lines ``sha256  name`` for every shard, sorted by name; equal for equal tokens in equal files."""
        lines = []
        for path in sorted(self.folder.glob("*_*.bin")):
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read ``DIR`` or ``DIR=WEIGHT``. Raises :class:`UsageError` for a weight that is no positive number."""
        folder, separator, weight = text.rpartition("=")
        if not separator:
            return cls(Path(text))
        try:
            value = float(weight)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UsageError(f"--data {text}: the weight {weight!r} is not a positive number. Write DIR or DIR=0.6.")
        return cls(Path(folder), value)


def read_source(source: Source, split: str, vocab_size: int) -> list[ShardTokens]:
    """The memory-mapped shards ``{split}_*.bin`` of a source. Raises :class:`DataError` when there are none."""
    paths = sorted(source.folder.glob(f"{split}_*.bin"))
    if not paths:
        raise DataError(
            f"{source.folder} holds no {split}_*.bin. Write them with: "
            f"evaladapt data prepare TEXT --out {source.folder}"
        )
    return list(read_shards(paths, vocab_size))


@dataclass(frozen=True)
class TokenBatch:
    """``inputs [B, S]`` and, one token later, ``targets [B, S]``, both int64."""

    inputs: Tensor
    targets: Tensor


class Loader:
    """Endless batches; two loaders with equal arguments and equal :meth:`state` give equal batches."""

    def __init__(self, sources: Sequence[Source], vocab_size: int, rows: int, context: int, seed: int) -> None:
        self._rows = rows
        self._context = context
        total = sum(source.weight for source in sources)
        self._shares = [source.weight / total for source in sources]
        self._windows = [
            _SourceWindows(source, read_source(source, "train", vocab_size), context, (seed, index))
            for index, source in enumerate(sources)
        ]
        self._drawn = [0] * len(sources)

    def next_batch(self) -> TokenBatch:
        """The next ``rows`` windows."""
        windows = np.stack([self._next_window() for _ in range(self._rows)]).astype(np.int64)
        tokens = torch.from_numpy(windows)
        return TokenBatch(tokens[:, :-1], tokens[:, 1:])

    def _next_window(self) -> ShardTokens:
        total = sum(self._drawn) + 1
        behind = [share * total - drawn for share, drawn in zip(self._shares, self._drawn, strict=True)]
        chosen = int(np.argmax(behind))
        self._drawn[chosen] += 1
        return self._windows[chosen].window(self._drawn[chosen] - 1)

    def state(self) -> list[int]:
        """Rows drawn from each source."""
        return list(self._drawn)

    def load_state(self, drawn: Sequence[int]) -> None:
        """Continue behind the rows of :meth:`state`."""
        if len(drawn) != len(self._drawn):
            raise DataError(f"the checkpoint has {len(drawn)} sources, this command names {len(self._drawn)}.")
        self._drawn = list(drawn)


class _SourceWindows:
    """All windows of one source, numbered without end; pass after pass in a new order."""

    def __init__(self, source: Source, shards: list[ShardTokens], context: int, seed: tuple[int, int]) -> None:
        self._shards = shards
        self._context = context
        self._seed = seed
        # The phase may skip up to context - 1 tokens, and a window needs one target beyond its inputs.
        self._counts = [(len(shard) - context) // context for shard in shards]
        self._per_pass = sum(max(0, count) for count in self._counts)
        if self._per_pass == 0:
            raise DataError(
                f"{source.folder} is too short: no train shard has {2 * context} tokens, enough for a window of "
                f"{context} at any phase. Add text, or set a smaller context in the [model] table."
            )
        self._pass = -1
        self._starts: npt.NDArray[np.int64] = np.empty((0, 2), dtype=np.int64)

    def window(self, number: int) -> ShardTokens:
        """Window ``number`` (from 0): ``context + 1`` tokens."""
        wanted, place = divmod(number, self._per_pass)
        if wanted != self._pass:
            self._starts = self._shuffled(wanted)
            self._pass = wanted
        shard, start = self._starts[place]
        tokens: ShardTokens = self._shards[shard][start : start + self._context + 1]
        return tokens

    def _shuffled(self, number: int) -> npt.NDArray[np.int64]:
        """``[windows, 2]``: shard and first token of each window of pass ``number``, in visiting order."""
        generator = np.random.default_rng((*self._seed, number))
        places = [
            np.stack((np.full(count, shard), phase + self._context * np.arange(count)), axis=1)
            for shard, count in enumerate(self._counts)
            if count > 0
            for phase in [generator.integers(self._context)]
        ]
        return generator.permutation(np.concatenate(places))

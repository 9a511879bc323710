"""The contest's byte sidecars: ``fineweb_val_bytes_000000.bin`` beside ``fineweb_val_000000.bin``.

Tokenizers that transform text first (CaseOps, Parameter Golf #1729) make tokens of another text than the one that is
scored, so a file in the shards' own format says of every token how many bytes of the original it stands for: 0 for BOS
and for marks that were put in. Where there is one, it is the denominator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaladapt.errors import DataError, UsageError

_SIDECAR = re.compile(r"(.*)_bytes_(\d+\.bin)", re.IGNORECASE | re.DOTALL)
_SHARD = re.compile(r"(.*)_(\d+\.bin)", re.IGNORECASE | re.DOTALL)


def without_sidecars(paths: Sequence[Path]) -> list[Path]:
    """The shards among the files that a pattern like ``fineweb_val_*.bin`` names.

    Raises:
        UsageError: a sidecar without its shard; it holds no tokens.
    """
    shards = [path for path in paths if not _SIDECAR.fullmatch(path.name)]
    for path in paths:
        match = _SIDECAR.fullmatch(path.name)
        if match and not any(shard == path.with_name(f"{match[1]}_{match[2]}") for shard in shards):
            raise UsageError(
                f"{path} holds byte counts, not tokens; name the shard that it belongs to: "
                f"--data {path.with_name(f'{match[1]}_{match[2]}')}"
            )
    return shards


def sidecar_of(shard: Path) -> Path | None:
    """The sidecar beside a shard, if there is one."""
    match = _SHARD.fullmatch(shard.name)
    beside = shard.with_name(f"{match[1]}_bytes_{match[2]}") if match else None
    return beside if beside is not None and beside.exists() else None


def refuse_impossible(name: str, counts: npt.NDArray[np.int32], opens: npt.NDArray[np.bool_]) -> None:
    """Refuse counts that no text has: bytes for the BOS of a document, or none at all.

    Raises:
        DataError: names the first token.
    """
    wrong = np.flatnonzero(opens & (counts != 0))
    if len(wrong):
        raise DataError(
            f"{name} gives {counts[wrong[0]]} bytes to token {wrong[0]}, which opens a document and has none. "
            "It does not belong to these shards."
        )

"""What a training is: everything it depends on, and how it ended. The command line makes the one, prints the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.errors import DataError
from evaladapt.model.config import ModelConfig
from evaladapt.train.loader import Source
from evaladapt.train.schedule import Budget
from evaladapt.train.settings import TrainSettings


@dataclass(frozen=True)
class TrainJob:
    """Everything a training depends on."""

    model: ModelConfig
    settings: TrainSettings
    sources: tuple[Source, ...]
    tokenizer: SentencePieceTokenizer
    budget: Budget
    out: Path
    seed: int = 0
    resume: bool = False

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What must not change between a checkpoint and its continuation; the budget may change. Reads all shards."""
        return {
            "model": self.model.to_dict(),
            "settings": self.settings.to_dict(),
            "sources": [[source.name, source.weight] for source in self.sources],
            "shards": {source.name: source.sha256() for source in self.sources},
            "tokenizer_sha256": self.tokenizer.sha256,
            "seed": self.seed,
            "torch": str(torch.__version__),
        }

    def refuse_other(self, identity: Mapping[str, Any]) -> None:
        """Refuse to go on from a checkpoint of another identity. Raises :class:`DataError`, which says what differs."""
        now = self.identity
        for name, value in now.items():
            if identity.get(name) == value:
                continue
            if name == "shards":
                raise DataError(
                    f"{self.out}: the shards were changed since the checkpoint was made (sha256 {identity.get(name)},"
                    f" now {value}). Restore them, or start afresh in another --out."
                )
            raise DataError(
                f"{self.out}: the checkpoint was made with another {name}: {identity.get(name)}, now {value}. "
                "Give the same options, or start afresh in another --out."
            )


@dataclass(frozen=True)
class TrainResult:
    """How a training ended. ``val_bpb`` is that of the averaged weights, which are the ones written."""

    path: Path
    steps: int
    tokens: int
    seconds: float
    val_bpb: dict[str, float]

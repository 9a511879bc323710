"""What a training is: everything it depends on, and how it ended. The command line makes the one, prints the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
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

    def identity(self) -> dict[str, Any]:
        """What must not change between a checkpoint and its continuation; the budget may change."""
        return {
            "model": self.model.to_dict(),
            "settings": self.settings.to_dict(),
            "sources": [[source.name, source.weight] for source in self.sources],
            "tokenizer_sha256": self.tokenizer.sha256,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class TrainResult:
    """How a training ended. ``val_bpb`` is that of the averaged weights, which are the ones written."""

    path: Path
    steps: int
    tokens: int
    seconds: float
    val_bpb: dict[str, float]

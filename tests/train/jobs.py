"""Tiny trainings, in this process or as one of several."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.model.config import ModelConfig
from evaladapt.system.processes import joined
from evaladapt.train.job import TrainJob
from evaladapt.train.loader import Source
from evaladapt.train.reporting import ProgressReport
from evaladapt.train.schedule import Budget
from evaladapt.train.settings import TrainSettings
from evaladapt.train.trainer import Trainer

STEPS = 24


def tiny_job(root: Path, tokenizer: Tokenizer, out: Path, steps: int = STEPS, *, resume=False, **changes) -> TrainJob:
    """A training on the two shard folders under ``root``; ``changes`` are settings."""
    model = ModelConfig(
        vocab_size=tokenizer.vocab_size, layers=2, width=32, heads=4, kv_heads=2, mlp_width=64, context=32
    )
    settings = TrainSettings(
        rows=4, warmup_steps=3, validate_every=10, validation_tokens=256, ema_decay=0.8, precision="float32"
    )
    sources = (Source(root / "web", 0.6), Source(root / "novels", 0.4))
    return TrainJob(
        model, replace(settings, **changes), sources, tokenizer, Budget(steps=steps), out, seed=3, resume=resume
    )


def main(root: Path, tokenizer: Path, out: Path) -> None:
    """Train as one of several processes."""
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as processes:
        job = tiny_job(root, SentencePieceTokenizer.load(tokenizer), out, rows=6, accumulate=2)
        Trainer(job, ProgressReport(), processes).run()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

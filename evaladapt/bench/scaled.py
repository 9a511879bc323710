"""One process of ``evaladapt bench scaling``: score made-up tokens with a made-up model, and say what that took.

    python -m evaladapt.bench.scaled '{"line": "sliding", "targets": 1024, "vocabulary": 2048}'

Neither weights nor tokens are of any language: nothing that is measured depends on what they say.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from evaladapt.contract.composition import compose
from evaladapt.data.stream import TokenStream
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.model.config import MAX_VOCABULARY, ModelConfig
from evaladapt.model.transformer import Transformer

HEAD_WIDTH, CONTEXT, BOS = 32, 512, 1
SPREAD = 0.05
"""Standard deviation of the weights: large enough that no number is denormal."""
REPEATS = 1.3
"""Exponent of Zipf's law, by which tokens repeat as words do."""


SHORT = {"ttt": {"chunk": 512}}
"""Options by which a strategy does its work on a thousand targets."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is scored: strategies, targets, and the model's shape."""

    line: str
    targets: int
    vocabulary: int = 2048
    layers: int = 4
    width: int = 256


@dataclass(frozen=True)
class Cost:
    """Processor seconds of the run, peak memory of its process in MB of 10^6 bytes, and the model's parameters."""

    seconds: float
    megabytes: float
    parameters: int


def cost(case: Case) -> Cost:
    """Score in this process, which should be one that has done nothing else."""
    torch.set_num_threads(1)
    model, text = _model(case), _text(case)
    names = [] if case.line == "sliding" else case.line.split(",")
    options = {name: given for name, given in SHORT.items() if name in names}
    run = InlineRun(model, text, compose(names, options), Settings(), boundaries="charged")
    started = time.process_time()
    run.run()
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return Cost(seconds, peak, sum(weight.numel() for weight in model.parameters()))


class _AnyVocabulary(Transformer):
    """Has as many tokens as its embedding has rows; a configuration stops at what shards can hold."""

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return len(self.embedding)


def _model(case: Case) -> Transformer:
    heads = case.width // HEAD_WIDTH
    shape = ModelConfig(
        vocab_size=min(case.vocabulary, MAX_VOCABULARY),
        layers=case.layers,
        width=case.width,
        heads=heads,
        kv_heads=max(1, heads // 2),
        mlp_width=4 * case.width,
        context=CONTEXT,
    )
    model = _AnyVocabulary(shape)
    model.embedding = nn.Parameter(torch.empty(case.vocabulary, case.width))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, SPREAD, generator=generator)
    return model.requires_grad_(False)


def _text(case: Case) -> TokenStream:
    drawn = np.random.default_rng(0).zipf(REPEATS, case.targets)
    tokens = np.concatenate([[BOS], BOS + 1 + drawn % (case.vocabulary - BOS - 1)]).astype(np.int32)
    lengths = (np.arange(len(tokens)) > 0).astype(np.int32)
    return TokenStream(tokens=tokens, byte_lengths=lengths, documents=np.zeros_like(lengths), name="made up",
                       sha256="0" * 64, text_sha256="0" * 64, text_bytes=case.targets)  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(vars(cost(Case(**json.loads(sys.argv[1]))))))

"""A long fuzz run of what a training and a configuration are read from: ``python -m tests.train.fuzz --inputs 100000``.

Each input is a finished model, a checkpoint, metrics, a preset or a configuration with something changed. It must be
read or refused with an error for people; anything else, or ten seconds of computing, ends the run and leaves the input
behind. ``test_fuzz`` runs a few hundred.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from evaladapt.cli.options import read_config
from evaladapt.data.shards import write_shard
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from evaladapt.errors import EvaladaptError
from evaladapt.model.backend import transformer_from_tensors
from evaladapt.system.strict_json import parse_json, parse_toml
from evaladapt.train.checkpoint import METADATA_KEY, read_tensors, read_trained_model
from evaladapt.train.reporting import MetricsFile, ProgressReport
from evaladapt.train.schedule import Budget
from evaladapt.train.settings import load_preset, preset_names, preset_path
from evaladapt.train.trainer import Trainer
from tests.fuzzing import Mutations, arguments, long_run
from tests.train.jobs import tiny_job

ODD_TEXTS = (
    "[", "]", "{", "}", '"', "'", "\n", "=", ".", ",", "#", "[" * 2000, "a." * 2000, "1" * 5000, "1e999", "nan", "-inf",
    "null", "\\ud800", "\0", "\N{BYTE ORDER MARK}", "[[a]]\n", "[a]\n", "true", "1979-05-27", '"""', "model = 1\n",
)  # fmt: skip
CONFIGURATION = """plugins = ["ttt", "slot-lbfgs"]
[ttt]
lr = 0.004
chunk = 32
[slot-lbfgs]
history = 5
"""


class Inputs:
    """Draws one changed file after the other into a folder, and reads it; the same seed gives the same inputs."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._changes = Mutations(seed)
        self._random = self._changes.random
        tokenizer = _training(folder)
        self._job = replace(tiny_job(folder, tokenizer, folder / "out", 4), resume=True)
        self._scratch = folder / "scratch"
        self._scratch.mkdir()
        self._final = read_tensors(folder / "out" / "final.safetensors")
        self._checkpoint = (folder / "out" / "checkpoint.safetensors").read_bytes()
        self._saved = read_tensors(folder / "out" / "checkpoint.safetensors")
        self._metrics = (folder / "out" / "metrics.jsonl").read_text()
        self._presets = [preset_path(name).read_text() for name in preset_names()]
        self._kinds = {
            self.strict_json: 0.3, self.strict_toml: 0.2, self.preset: 0.2, self.configuration: 0.1, self.metrics: 0.1,
            self.finished_model: 0.08, self.checkpoint: 0.02,
        }  # fmt: skip

    def read_next(self) -> tuple[str, str]:
        """The kind of input, and ``read`` or the error that refused it."""
        kind = list(self._kinds)[self._random.choice(len(self._kinds), p=list(self._kinds.values()))]
        try:
            kind()
        except EvaladaptError as error:
            return kind.__name__, type(error).__name__
        return kind.__name__, "read"

    def strict_json(self) -> None:
        parse_json(self._changed(json.dumps(self._final.facts)), "x")

    def strict_toml(self) -> None:
        parse_toml(self._changed(self._changes.any([CONFIGURATION, *self._presets])), "x")

    def preset(self) -> None:
        load_preset(self._written(self._changed(self._changes.any(self._presets))), vocab_size=300)

    def configuration(self) -> None:
        read_config(self._written(self._changed(CONFIGURATION)), "", [])

    def metrics(self) -> None:
        (self._scratch / "metrics.jsonl").write_bytes(self._changed(self._metrics) + b"\n")
        MetricsFile(self._scratch, 3)

    def finished_model(self) -> None:
        """Facts or tensors changed, as a file that is whole; or bytes of the file."""
        facts, tensors = self._changes.odd(self._final.facts), dict(self._final.tensors)
        if self._random.random() < 0.3:
            tensors[self._changes.any(list(tensors))] = torch.zeros(2, 3)
        data = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(facts)})
        trained = read_trained_model(self._written(self._edited(data) if self._random.random() < 0.3 else data))
        transformer_from_tensors(trained.model_config, trained.tensors)

    def checkpoint(self) -> None:
        path = self._job.out / "checkpoint.safetensors"
        facts, tensors = self._changes.odd(self._saved.facts), dict(self._saved.tensors)
        if self._random.random() < 0.3:
            tensors.pop(self._changes.any(list(tensors)))
        data = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(facts)})
        path.write_bytes(self._edited(self._checkpoint) if self._random.random() < 0.3 else data)
        Trainer(self._job, ProgressReport())

    def _changed(self, text: str) -> bytes:
        if self._random.random() < 0.2:
            return self._edited(text.encode())
        for _ in range(int(self._random.integers(1, 4))):
            start, stop = sorted(self._random.integers(len(text) + 1, size=2))
            stop = stop if self._random.random() < 0.1 else min(stop, start + 3)
            text = text[:start] + self._changes.any(ODD_TEXTS) + text[stop:]
        return text.encode()

    def _edited(self, before: bytes) -> bytes:
        data = bytearray(before)
        for _ in range(int(self._random.integers(1, 6))):
            data[self._random.integers(min(len(data), 4000))] = self._random.integers(256)
        return bytes(data[: self._random.integers(len(data))] if self._random.random() < 0.1 else data)

    def _written(self, data: bytes) -> Path:
        path = self._scratch / "final.safetensors"
        path.write_bytes(data)
        return path


def _training(folder: Path) -> Tokenizer:
    """A finished training in ``folder / "out"``, and what it needs to go on."""
    text = "a quick brown fox jumps over a lazy dog and rests. " * 60
    tokenizer = train_tokenizer([text], 300)
    for name in ("web", "novels"):
        for split in ("train", "val"):
            ids = np.concatenate(([tokenizer.bos_id], tokenizer.encode(text)))
            write_shard(folder / name / f"{split}_000000.bin", ids)
    Trainer(replace(tiny_job(folder, tokenizer, folder / "out", 2), budget=Budget(steps=2)), ProgressReport()).run()
    return tokenizer


def main() -> None:
    """Run as many inputs as asked for."""
    options = arguments(__doc__, 100_000)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        inputs, scratch = Inputs(options.seed, Path(folder)), Path(folder) / "scratch"
        long_run(options.inputs, inputs.read_next, lambda: str(shutil.copytree(scratch, "fuzz-finding")))


if __name__ == "__main__":
    main()

import hashlib
import os
import random
import signal
from dataclasses import replace

import pytest

from evaladapt.train.checkpoint import read_tensors
from evaladapt.train.reporting import ProgressReport
from evaladapt.train.trainer import Trainer
from tests.processes import dies_in, in_child
from tests.train.jobs import tiny_job

STEPS = 60
KILLS = int(os.environ.get("EVALADAPT_KILLS", "3"))
"""More kills make a longer test; ten take some ten seconds."""
WITHIN_SECONDS = 0.02


class DiesAfter(ProgressReport):
    """Has this process end a moment after a step was reported."""

    def __init__(self, step, moment):
        super().__init__()
        self._last, self._moment = step, moment

    def step(self, metrics, progress, tokens_per_second):
        if metrics.step == self._last:
            dies_in(self._moment)

    def say(self, text):
        """Nobody listens."""


def weights_hash(folder):
    tensors = read_tensors(folder / "final.safetensors").tensors
    return hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()


def train_in_child(job, report):
    """How the training ended."""
    return in_child(lambda: Trainer(job, report).run())


@pytest.mark.timeout(300)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_training_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(
    shard_folders, tokenizer, tmp_path
):
    root, never = shard_folders[0].parent, DiesAfter(0, 0.0)
    job = tiny_job(root, tokenizer, tmp_path / "killed", STEPS, checkpoint_minutes=1e-9, rounded_fraction=0.3)
    assert train_in_child(replace(job, out=tmp_path / "whole"), never) == 0
    generator = random.Random(7)
    saved = job.out / "checkpoint.safetensors"
    for step in sorted(generator.sample(range(1, STEPS - 10), KILLS)):
        # Between two kills the training may have come further than this step; then it dies at the next one.
        done = read_tensors(saved).facts["position"]["step"] if saved.exists() else 0
        report = DiesAfter(max(step, done + 1), generator.uniform(1e-6, WITHIN_SECONDS))
        assert train_in_child(replace(job, resume=saved.exists()), report) == signal.SIGALRM
        for path in job.out.glob("[!.]*.safetensors"):
            read_tensors(path)
    assert not (job.out / "final.safetensors").exists()
    assert train_in_child(replace(job, resume=True), never) == 0
    assert weights_hash(job.out) == weights_hash(tmp_path / "whole")

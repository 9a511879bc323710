import hashlib
import os
import random
import signal
import time
import warnings
from dataclasses import replace

import pytest
import torch

from evaladapt.train.checkpoint import read_tensors
from evaladapt.train.reporting import ProgressReport
from evaladapt.train.trainer import Trainer
from tests.train.jobs import tiny_job

STEPS = 120
KILLS = int(os.environ.get("EVALADAPT_KILLS", "3"))
"""More kills make a longer test; ten take some twenty seconds."""


class Quiet(ProgressReport):
    def say(self, text):
        """Nobody listens."""


def weights_hash(folder):
    tensors = read_tensors(folder / "final.safetensors").tensors
    return hashlib.sha256(b"".join(tensors[name].numpy().tobytes() for name in sorted(tensors))).hexdigest()


def in_child(job):
    """Train in a child process; its number. A fork needs no second import of torch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    try:
        torch.set_num_threads(1)
        Trainer(job, Quiet()).run()
        os._exit(0)
    except BaseException:  # nothing of the parent's may run in the child
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_training_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(
    shard_folders, tokenizer, tmp_path
):
    root = shard_folders[0].parent
    job = tiny_job(root, tokenizer, tmp_path / "killed", STEPS, checkpoint_minutes=1e-9)
    started = time.monotonic()
    whole = in_child(replace(job, out=tmp_path / "whole"))
    assert os.waitpid(whole, 0)[1] == 0
    duration = time.monotonic() - started
    moments = random.Random(7)
    for _ in range(KILLS):
        child = in_child(replace(job, resume=(job.out / "checkpoint.safetensors").exists()))
        time.sleep(moments.uniform(0, 1.5 * duration / KILLS))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] in (0, signal.SIGKILL)
        for path in job.out.glob("[!.]*.safetensors"):
            read_tensors(path)
    last = in_child(replace(job, resume=(job.out / "checkpoint.safetensors").exists()))
    assert os.waitpid(last, 0)[1] == 0
    assert weights_hash(job.out) == weights_hash(tmp_path / "whole")

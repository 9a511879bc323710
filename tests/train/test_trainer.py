import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaladapt.data.shards import write_shard
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import DataError
from evaladapt.model.backend import transformer_from_tensors
from evaladapt.system.locks import FolderBusy, locked
from evaladapt.train.checkpoint import NamedTensors, read_tensors, read_trained_model, write_tensors
from evaladapt.train.job import TrainJob, TrainResult
from evaladapt.train.loader import Source, read_source
from evaladapt.train.reporting import ProgressReport, StepMetrics
from evaladapt.train.schedule import Budget
from evaladapt.train.trainer import Trainer, TrainingDiverged, TrainingInterrupted
from evaladapt.train.validation import bits_per_byte, held_out
from tests.train.jobs import STEPS, tiny_job


@pytest.fixture
def make_job(tokenizer: Tokenizer, shard_folders: tuple[Path, Path], tmp_path: Path) -> Callable[..., TrainJob]:
    def make(out: str, steps: int = STEPS, **changes: float) -> TrainJob:
        return tiny_job(shard_folders[0].parent, tokenizer, tmp_path / out, steps, **changes)

    return make


class SignalAt(ProgressReport):
    """Sends a signal to this process when a step is reported."""

    def __init__(self, step: int, number: int) -> None:
        super().__init__()
        self._step, self._number = step, number

    def step(self, metrics: StepMetrics, progress: float, tokens_per_second: float) -> None:
        if metrics.step == self._step:
            os.kill(os.getpid(), self._number)


def run(job: TrainJob) -> TrainResult:
    return Trainer(job, ProgressReport()).run()


def run_in(job: TrainJob) -> Path:
    """Run it; returns its folder."""
    run(job)
    return job.out


def loss_curve(folder: Path) -> list[tuple[int, float | dict[str, float]]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line.get("loss", line.get("val_bpb"))) for line in lines]


def test_document_masks_change_what_is_trained(
    tokenizer: Tokenizer, shard_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder in shard_folders:
        for split in ("train", "val"):
            (tokens,) = read_source(Source(folder), split, tokenizer.vocab_size)
            short = np.insert(tokens, range(9, len(tokens), 9), tokenizer.bos_id)
            write_shard(tmp_path / folder.name / f"{split}_000000.bin", short)
    joined = run_in(tiny_job(tmp_path, tokenizer, tmp_path / "joined", steps=4))
    apart = run_in(tiny_job(tmp_path, tokenizer, tmp_path / "apart", steps=4, document_masks=True))
    assert loss_curve(joined) != loss_curve(apart)


def test_a_tiny_model_learns(make_job: Callable[..., TrainJob]) -> None:
    job = make_job("out", steps=120)
    result = run(job)
    curve = [loss for _, loss in loss_curve(job.out) if isinstance(loss, float)]
    assert sum(curve[:3]) / 3 > 5.0
    assert sum(curve[-5:]) / 5 < 1.5
    assert result.val_bpb["web"] < 1.0
    assert result.tokens == 120 * 4 * 32


def test_two_trainings_are_equal_bit_for_bit(make_job: Callable[..., TrainJob]) -> None:
    jobs = [make_job(name) for name in ("one", "two")]
    for job in jobs:
        run(job)
    one, two = (read_tensors(job.out / "final.safetensors").tensors for job in jobs)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(("step", "number"), [(1, signal.SIGINT), (13, signal.SIGTERM), (20, signal.SIGINT)])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    make_job: Callable[..., TrainJob], step: int, number: int
) -> None:
    whole, broken = make_job("whole"), make_job("broken")
    run(whole)
    with pytest.raises(TrainingInterrupted, match=f"after step {step}.*--resume") as caught:
        Trainer(broken, SignalAt(step, number)).run()
    assert caught.value.exit_code == 130
    run(replace(broken, resume=True))
    assert loss_curve(whole.out) == loss_curve(broken.out)
    for name in ("final.safetensors", "checkpoint.safetensors"):
        one, two = read_tensors(whole.out / name), read_tensors(broken.out / name)
        assert set(one.tensors) == set(two.tensors)
        assert all(torch.equal(one.tensors[key], two.tensors[key]) for key in one.tensors)


def test_the_finished_file_holds_the_averaged_weights_that_were_validated(make_job: Callable[..., TrainJob]) -> None:
    job = make_job("out", validation_tokens=10**6)
    result = run(job)
    finished = read_trained_model(job.out)
    checkpoint = read_tensors(job.out / "checkpoint.safetensors").tensors
    assert all(torch.equal(finished.tensors[name], checkpoint[f"average/{name}"]) for name in finished.tensors)
    assert any(not torch.equal(finished.tensors[name], checkpoint[f"weights/{name}"]) for name in finished.tensors)
    model = transformer_from_tensors(finished.model_config, finished.tensors)
    shards = read_source(job.sources[0], "val", job.tokenizer.vocab_size)
    data = held_out("web", shards, job.model.context, 10**6, job.tokenizer)
    assert bits_per_byte(model, data, torch.device("cpu")) == pytest.approx(result.val_bpb["web"], rel=1e-6)
    assert finished.facts["val_bpb"] == result.val_bpb
    assert (job.out / "tokenizer.model").read_bytes() == job.tokenizer.model_bytes


def test_multi_token_heads_are_trained_and_left_out_of_the_finished_file(make_job: Callable[..., TrainJob]) -> None:
    job = make_job("out", steps=4)
    job = replace(job, model=replace(job.model, mtp_heads=2))
    run(job)
    checkpoint = read_tensors(job.out / "checkpoint.safetensors").tensors
    assert checkpoint["weights/mtp.0.projection"].any()
    assert checkpoint["weights/mtp.1.projection"].any()
    finished = read_trained_model(job.out)
    assert finished.model_config["mtp_heads"] == 0
    assert not [name for name in finished.tensors if "mtp" in name]
    transformer_from_tensors(finished.model_config, finished.tensors)


def test_rising_loss_stops_the_training_and_names_the_checkpoint(make_job: Callable[..., TrainJob]) -> None:
    job = make_job("out", steps=400, embedding_lr=1e4, matrix_lr=1e3, scalar_lr=1e4, checkpoint_minutes=1e-9)
    with pytest.raises(TrainingDiverged, match=r"diverged at step \d+: loss .*checkpoint\.safetensors.*matrix_lr"):
        run(job)
    assert not (job.out / "final.safetensors").exists()


def test_a_folder_with_a_training_is_not_overwritten(make_job: Callable[..., TrainJob]) -> None:
    run(make_job("out", steps=2))
    with pytest.raises(DataError, match="--resume"):
        run(make_job("out", steps=2))


def test_resuming_nothing_or_something_else_is_refused(make_job: Callable[..., TrainJob]) -> None:
    with pytest.raises(DataError, match="nothing to resume"):
        run(make_job("out", resume=True))
    run(make_job("out", steps=2))
    with pytest.raises(DataError, match="another settings"):
        run(make_job("out", steps=4, resume=True, matrix_lr=0.5))


def test_another_torch_would_compute_another_training(
    make_job: Callable[..., TrainJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(make_job("out", steps=2))
    monkeypatch.setattr("torch.__version__", "2.9.0")
    with pytest.raises(DataError, match=r"made with another torch: .*, now 2\.9\.0"):
        run(make_job("out", steps=4, resume=True))


def test_changed_shards_are_refused(make_job: Callable[..., TrainJob], tmp_path: Path) -> None:
    folder = tmp_path / "text"
    shutil.copytree(make_job("out").sources[0].folder, folder)
    job = replace(make_job("out", steps=2), sources=(Source(folder, 1.0),))
    run(job)
    shard = folder / "train_000000.bin"
    content = bytearray(shard.read_bytes())
    content[-2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match="the shards were changed since the checkpoint"):
        run(replace(job, resume=True, budget=Budget(steps=4)))


def test_two_trainings_do_not_share_a_folder(make_job: Callable[..., TrainJob]) -> None:
    job = make_job("out", steps=2)
    job.out.mkdir(parents=True)
    with locked(job.out), pytest.raises(FolderBusy, match="being written by process"):
        run(job)
    run(job)


@pytest.mark.parametrize("part", ["position", "identity"])
def test_a_checkpoint_without_its_facts_is_damaged(make_job: Callable[..., TrainJob], part: str) -> None:
    job = make_job("out", steps=2)
    run(job)
    path = job.out / "checkpoint.safetensors"
    content = read_tensors(path)
    for facts in ({**content.facts, part: 3}, {name: fact for name, fact in content.facts.items() if name != part}):
        write_tensors(path, NamedTensors(content.tensors, facts))
        with pytest.raises(DataError, match="is damaged"):
            run(make_job("out", steps=4, resume=True))


def test_a_longer_budget_continues_a_finished_training(make_job: Callable[..., TrainJob]) -> None:
    run(make_job("out", steps=2))
    assert run(make_job("out", steps=5, resume=True)).steps == 5

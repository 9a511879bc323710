import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from evaladapt.errors import UsageError
from evaladapt.system.processes import Alone
from evaladapt.train.checkpoint import read_tensors
from evaladapt.train.gradients import RowSplit, backpropagate
from evaladapt.train.loader import TokenBatch
from evaladapt.train.muon import Muon
from evaladapt.train.reporting import ProgressReport
from evaladapt.train.trainer import Trainer
from tests.processes import run_together
from tests.train.jobs import tiny_job

pytestmark = pytest.mark.timeout(240)  # real processes import torch each, side by side


class OneOf(Alone):
    """One of several processes that are not there."""

    def __init__(self, rank, count):
        self.rank, self.count = rank, count


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def gradient(processes, parts=1, rows=6):
    """Loss and gradient of a small regression, as one process has it before it meets the others."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    inputs, targets = torch.randn(6, 3), torch.randn(6, 2)

    def loss_of(batch):
        return (model(batch.inputs) - batch.targets).square().mean()

    split = RowSplit(rows, parts, processes)
    found = backpropagate(loss_of, TokenBatch(inputs, targets), list(model.parameters()), split, 1e9)
    return found.loss, model.weight.grad


@pytest.mark.parametrize("parts", [1, 2, 4, 6])
def test_a_step_in_parts_is_the_whole_step(parts):
    whole, found = gradient(Alone()), gradient(Alone(), parts)
    assert found[0] == pytest.approx(whole[0], rel=1e-6)
    assert torch.allclose(found[1], whole[1], atol=1e-6)


@pytest.mark.parametrize(("processes", "parts"), [(2, 1), (3, 2), (4, 1)])
def test_gradients_of_the_processes_average_to_that_of_all_rows(processes, parts):
    whole = gradient(Alone())
    found = [gradient(OneOf(rank, processes), parts) for rank in range(processes)]
    assert sum(loss for loss, _ in found) / processes == pytest.approx(whole[0], rel=1e-6)
    assert torch.allclose(sum(one for _, one in found) / processes, whole[1], atol=1e-6)


def test_rows_that_do_not_reach_are_refused():
    with pytest.raises(UsageError, match="6 rows cannot be split over 4 processes in 2 parts"):
        RowSplit(6, 2, OneOf(0, 4))


def test_every_process_orthogonalises_its_share_only():
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.zeros(4, 4)) for _ in range(5)]
    alone = [nn.Parameter(torch.zeros(4, 4)) for _ in range(5)]
    for weight, other in zip(weights, alone, strict=True):
        weight.grad = other.grad = torch.randn(4, 4)
    Muon(weights, 1.0, 0.9, 0.0, OneOf(1, 2)).step()
    Muon(alone, 1.0, 0.9, 0.0).step()
    same = [torch.allclose(one, other, atol=1e-5) for one, other in zip(weights, alone, strict=True)]
    assert same == [False, False, False, True, True]


def test_two_processes_train_as_one_does(shard_folders, tokenizer, tmp_path):
    model = tmp_path / "tokenizer.model"
    model.write_bytes(tokenizer.model_bytes)
    root = shard_folders[0].parent
    ended = run_together(2, ["-m", "tests.train.jobs", str(root), str(model), str(tmp_path / "two")])
    assert [one.code for one in ended] == [0, 0], ended[0].err
    assert ended[1].err == ""
    job = tiny_job(root, tokenizer, tmp_path / "one", rows=6, accumulate=1)
    Trainer(job, ProgressReport()).run()
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=2e-4)
    one, two = (read_tensors(tmp_path / name / "final.safetensors") for name in ("one", "two"))
    assert two.facts["val_bpb"] == pytest.approx(one.facts["val_bpb"], abs=1e-3)
    assert all(torch.allclose(one.tensors[name], two.tensors[name], atol=2e-3) for name in one.tensors)
    # Every process keeps every momentum, so a training may go on with another number of processes.
    longer = replace(tiny_job(root, tokenizer, tmp_path / "two", 26, rows=6, accumulate=2), resume=True)
    assert Trainer(longer, ProgressReport()).run().steps == 26

import json

import pytest
import torch

from evaladapt.errors import UsageError
from evaladapt.train import precision
from evaladapt.train.precision import multiplying_in, product_type
from evaladapt.train.reporting import ProgressReport
from evaladapt.train.settings import TrainSettings
from evaladapt.train.trainer import Trainer
from tests.train.jobs import tiny_job

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("units", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bfloat16_where_the_hardware_multiplies_it(monkeypatch, units, expected):
    monkeypatch.setattr(precision, "_has_matrix_units", lambda: units)
    assert product_type(CPU, "auto") == expected
    assert product_type(CUDA, "auto") == torch.bfloat16
    assert product_type(CPU, "float32") == product_type(CUDA, "float32") == torch.float32
    assert product_type(CPU, "bfloat16") == torch.bfloat16


def test_products_are_computed_in_the_type_that_was_asked_for():
    matrix = torch.randn(4, 4)
    for products in (torch.float32, torch.bfloat16):
        with multiplying_in(CPU, products):
            assert (matrix @ matrix).dtype == products


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match=r"precision 'bfloat' is none of auto, float32, bfloat16\. Did you mean"):
        TrainSettings(precision="bfloat")


def test_a_training_in_bfloat16_learns_and_keeps_float32_weights(shard_folders, tokenizer, tmp_path):
    job = tiny_job(shard_folders[0].parent, tokenizer, tmp_path / "out", 60, precision="bfloat16")
    trainer = Trainer(job, ProgressReport())
    trainer.run()
    lines = [json.loads(line) for line in (job.out / "metrics.jsonl").read_text().splitlines()]
    curve = [line["loss"] for line in lines if "loss" in line]
    assert sum(curve[-5:]) / 5 < 0.6 * curve[0]
    assert all(weight.dtype == torch.float32 for weight in trainer.model.parameters())

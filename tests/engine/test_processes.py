import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.cli.main import invoke
from evaladapt.contract.views import HIDDEN_TARGET
from evaladapt.engine.hooks.host import TrainingHost
from evaladapt.engine.loop import Settings
from evaladapt.engine.parts import block_parts, share, targets_by_process
from evaladapt.engine.windows import Batch
from evaladapt.errors import UsageError
from evaladapt.judge.inline import InlineRun
from evaladapt.system.processes import ALONE, Alone
from evaladapt.testing.compositions import composition_of
from tests.engine.scored_together import BATCH, LINES, Strategy, score
from tests.processes import run_together
from tests.tiny import VOCABULARY, random_stream, tiny_model
from tests.windows import window_rows

pytestmark = pytest.mark.timeout(240)  # real processes import torch each, side by side
TOLERANCE = 1e-4
"""Nats by which a target's charge may depend on the number of processes."""


class OneOf(Alone):
    """One of several processes that are not there; good for what happens before they meet."""

    def __init__(self, rank, count):
        self.rank, self.count = rank, count


@given(window_rows(), st.integers(1, 5))
def test_shares_of_a_part_hold_its_targets_in_order(windows, processes):
    (part,) = block_parts(Batch(0, tuple(windows)))
    shares = [share(part, rank, processes) for rank in range(processes)]
    targets = [target for one in shares if one.own for span in one.spans for target in range(span.first, span.stop)]
    assert targets == list(range(part.first, part.stop))
    sizes = targets_by_process(part, processes)
    assert [size for size in sizes if size] == [one.stop - one.first for one in shares if one.own]
    assert sum(targets_by_process(part, processes, but_last=True)) == len(targets) - 1
    assert all(one.whole is part for one in shares)


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 2**31))
def test_losses_and_gradients_of_the_processes_average_to_those_of_all_rows(rows, processes, seed):
    generator = torch.Generator().manual_seed(seed)
    model = tiny_model()
    tokens, targets = torch.randint(VOCABULARY, (2, rows, 6), generator=generator)
    targets[torch.rand(targets.shape, generator=generator) < 0.3] = HIDDEN_TARGET
    targets[0, 0] = 3

    def loss_and_gradient(host):
        leaf = model.embedding.detach().requires_grad_()
        loss = host.loss(tokens, targets, {"embedding": leaf})
        return loss.detach(), torch.autograd.grad(loss, leaf)[0]

    whole = loss_and_gradient(TrainingHost(model, ALONE))
    parts = [loss_and_gradient(TrainingHost(model, OneOf(rank, processes))) for rank in range(processes)]
    for one, mean in zip(whole, (sum(part) / processes for part in zip(*parts, strict=True)), strict=True):
        assert torch.allclose(one, mean, atol=1e-5)


def test_the_ledger_does_not_depend_on_the_number_of_processes(tmp_path):
    processes = 4  # of which some have more rows than others, and at the end some have none
    ended = run_together(processes, ["-m", "tests.engine.scored_together", str(tmp_path), *LINES])
    assert [one.code for one in ended] == [0] * processes, ended[0].err
    for line in LINES:
        alone = score(line, ALONE)
        found = [np.load(tmp_path / f"{line}-{rank}.npz") for rank in range(processes)]
        for one in found:
            assert np.abs(one["logprobs"] - alone.logprobs).max() < TOLERANCE, line
            assert np.array_equal(one["logprobs"], found[0]["logprobs"]), line
        if line in ("sliding", "slot-lbfgs", "ngram"):
            most = -(-BATCH // processes) / BATCH
            assert max(int(one["rows"]) for one in found) <= most * alone.rows, line


def test_a_process_that_dies_ends_the_others(tmp_path):
    first, second = run_together(2, ["-m", "tests.engine.scored_together", str(tmp_path), "dies"])
    assert second.code == 7
    assert first.code == 1
    assert "process 0 of 2 lost the others" in first.err


def test_an_interrupted_run_goes_on_in_all_processes(tmp_path):
    ended = run_together(2, ["-m", "tests.engine.scored_together", str(tmp_path), "resume"])
    assert [one.code for one in ended] == [0, 0], ended[1].err
    alone = score("ttt,slot-lbfgs", ALONE)
    assert [float(one.out) for one in ended] == pytest.approx([-alone.logprobs.sum()] * 2, abs=1e-3)


def test_training_that_is_not_reduced_over_processes_is_found_out(tmp_path):
    for one in run_together(2, ["-m", "tests.engine.scored_together", str(tmp_path), "forgetful"]):
        assert one.code == 1
        assert "forgetful must pass every gradient through host.reduce_gradients" in one.err


def test_the_command_prints_and_writes_once(tiny_artifact, text_file, tmp_path, capsys):
    def arguments(out):
        return [
            *("run", str(tiny_artifact), "--data", str(text_file), "--plugins", "ttt,slot-lbfgs", "--device", "cpu"),
            *("-o", "ttt.chunk=64", "--json", "--out", str(tmp_path / out)),
        ]

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "evaladapt"]
    together = subprocess.run([*torchrun, *arguments("two")], capture_output=True, text=True, timeout=200, check=False)
    assert together.returncode == 0, together.stderr
    assert invoke(arguments("one")) == 0
    two, one = json.loads(together.stdout), json.loads(capsys.readouterr().out)
    assert two["environment"]["processes"] == 2
    assert two["bpb"] == pytest.approx(one["bpb"], abs=1e-6)
    assert two["adapted"]["scalars"] == one["adapted"]["scalars"]
    written = {path.name for path in (tmp_path / "two").iterdir()}
    assert written == {"record.json", "text.npz", "base.ledger", "adapted.ledger"}
    assert two["verdict"] == "UNCHECKED"
    assert "split over 2 players" in two["checked"]["unchecked_because"]


def test_commands_that_one_process_carries_out_are_refused(tmp_path):
    first, second = run_together(2, ["-m", "evaladapt", "artifact", "info"])
    assert (first.code, second.code) == (2, 2)
    assert "2 processes would each carry out evaladapt artifact" in first.err
    assert second.err == ""


def test_a_wrong_command_is_told_once():
    first, second = run_together(2, ["-m", "evaladapt", "run", "--plugins", "slot-lbfsg"])
    assert first.code == second.code != 0
    assert "slot-lbfgs" in first.err
    assert second.err == ""


def test_step_mode_and_peeking_are_refused():
    honest = composition_of(Strategy)
    with pytest.raises(UsageError, match=r"step mode predicts one target at a time, so 2 .*torchrun"):
        InlineRun(tiny_model(), random_stream(), honest, Settings(mode="step"), processes=OneOf(0, 2))

    class Peeks(Strategy):
        capabilities = replace(Strategy.capabilities, peeks=True)

    peeking = composition_of(Peeks, allow_noncausal=True)
    with pytest.raises(UsageError, match=r"peeks would peek: .* one process"):
        InlineRun(tiny_model(), random_stream(), peeking, processes=OneOf(0, 2))

"""Run as one of several processes: scores the tiny stream with every composition and keeps what was charged."""

import os
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.contract.composition import Composition, compose
from evaladapt.engine.loop import Settings
from evaladapt.judge import charging
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.records.snapshot import Journal
from evaladapt.system.processes import Processes, joined
from evaladapt.testing.compositions import composition_of
from tests.tiny import random_stream, tiny_model

LINES = (
    "sliding",
    "slot-lbfgs",
    "ttt",
    "ttt,slot-lbfgs",
    "ngram",
    "hedge",
    "bias",
    "lora-ttt",
    "ttt-document,slot-hidden-stream,slot-cascade,bias,tilt,hedge",
)
OPTIONS = {
    "sliding": {"stride": 4},
    "ttt": {"chunk": 24, "batch": 3},
    "ttt-document": {"chunk": 24, "batch": 2},
    "lora-ttt": {"chunk": 8},
    "bias": {"prior": 1.0},
    "slot-hidden-stream": {"horizon": 24},
}
"""Chunks that let a batch hold several rows, and rows that three or four processes cannot share evenly."""
BATCH = 5
STREAM = random_stream((53, 38))


@dataclass(frozen=True)
class Scored:
    """Log-probability of every target, and how many rows this process's model read for them."""

    logprobs: np.ndarray
    rows: int


class Strategy:
    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

    def __init__(self, options): ...


class Listen(Strategy):
    """Hears what was charged for every batch."""

    @hookimpl
    def begin(self, run):
        heard.clear()

    @hookimpl
    def observe(self, scored):
        heard.append(scored.logprobs.numpy())


class Dies(Strategy):
    """Ends the second process without a word."""

    @hookimpl
    def mix(self, logprobs, query):
        if query.frontier > 20 and os.environ["RANK"] == "1":
            os._exit(7)
        return logprobs


class Forgetful(Strategy):
    """Trains without reducing its gradients over the processes."""

    capabilities = Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream")

    @hookimpl
    def observe(self, scored, host):
        embedding = host.parameters("embedding")["embedding"]
        leaf = embedding.detach().requires_grad_()
        rows = len(scored.tokens) // 2
        tokens, targets = (one[: 2 * rows].view(2, rows) for one in (scored.tokens, scored.targets))
        if rows:
            (gradient,) = torch.autograd.grad(host.loss(tokens, targets, {"embedding": leaf}), [leaf])
            embedding.sub_(gradient)


heard: list[np.ndarray] = []
BROKEN = {"dies": Dies, "forgetful": Forgetful}


def composed(line: str) -> Composition:
    if line in BROKEN:
        return composition_of(BROKEN[line], options={"sliding": {"stride": 4}})
    aliases = ["sliding", *line.split(",")]
    return compose(line.split(","), {alias: given for alias, given in OPTIONS.items() if alias in aliases})


def score(line: str, processes: Processes) -> Scored:
    """Run a composition, and listen."""
    model, rows = tiny_model(), 0
    read = model.hidden_from

    def counted(tokens, first):
        nonlocal rows
        rows += len(tokens)
        return read(tokens, first)

    model.hidden_from = counted
    composition = Composition((*composed(line).members, *composition_of(Listen).members[1:]))
    outcome = InlineRun(model, STREAM, composition, Settings(batch=BATCH), processes=processes).run()
    logprobs = np.concatenate(heard)
    assert np.isclose(-logprobs.sum(), outcome.nats)
    return Scored(logprobs, rows)


def resume(line: str, processes: Processes, folder: Path) -> float:
    """Nats of a run that every process leaves after four batches and takes up again from the snapshot."""
    charging.SNAPSHOT_SECONDS = 0.0
    left = 4

    def leave(done, total):
        nonlocal left
        left -= 1
        if not left:
            raise InterruptedError

    def nats(progress=None, **journal):
        kept = Journal(folder, f"run-{processes.rank}", {"text": "one"}, **journal)
        with closing(kept.file):
            return InlineRun(
                tiny_model(), STREAM, composed(line), Settings(batch=BATCH), journal=kept, progress=progress,
                processes=processes,
            ).run().nats  # fmt: skip

    try:
        nats(leave)
    except InterruptedError:
        return nats(resume=True)
    raise AssertionError("the run ended before it was left")


def main(folder: Path, lines: list[str]) -> None:
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as processes:
        if lines == ["resume"]:
            print(resume("ttt,slot-lbfgs", processes, folder))
            return
        for line in lines:
            found = score(line, processes)
            np.savez(folder / f"{line}-{processes.rank}.npz", logprobs=found.logprobs, rows=found.rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

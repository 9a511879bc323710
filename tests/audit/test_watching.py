"""What a watcher looks at: the process's generators, what is opened, what a strategy remembers."""

import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaladapt.audit.generators import Canaries
from evaladapt.audit.opened import listening
from evaladapt.audit.remembered import declared_state, whole_state
from evaladapt.audit.subject import capture
from evaladapt.contract import Capabilities, Stage, hookimpl
from tests.zoo.subjects import toy_bench
from tests.zoo.thief import Thief


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda: random.random(), "random"),
        (lambda: np.random.rand(), "numpy.random"),
        (lambda: torch.rand(1), "torch"),
        (lambda: torch.manual_seed(1), "torch"),
        (lambda: random.seed(1), "random"),
        (lambda: torch.rand(1, generator=torch.Generator()), None),
        (lambda: np.random.default_rng(1).random(), None),
    ],
)
def test_using_or_seeding_a_global_generator_is_seen_and_undone(use: Callable[[], object], name: str | None):
    canaries, used = Canaries(), []
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for _ in range(2):
        with canaries.watch(used):
            use()
    assert used == ([name] * 2 if name else [])
    assert torch.equal(torch.get_rng_state(), before)


def connect():
    with socket.socket() as one:
        one.connect_ex(("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda path: path.read_text(), "read the file"),
        (lambda path: path.open("r+").close(), "read the file"),
        (lambda path: path.write_text("x"), None),
        (lambda path: np.fromfile(path, dtype=np.uint8), "read the file"),
        (lambda path: open(__file__).close(), None),
        (lambda path: open("/dev/null").close(), None),
        (lambda path: connect(), "socket.connect"),
        (lambda path: subprocess.run([sys.executable, "-c", ""], check=True), "subprocess.Popen"),
    ],
)
def test_what_is_opened_is_reported_but_program_code_is_not(tmp_path, do, said):
    path = tmp_path / "data.txt"
    path.write_text("1")
    seen = []
    with listening(seen.append):
        do(path)
    assert any(said in one for one in seen) if said else seen == []
    seen.clear()
    path.read_text()
    assert seen == []


def test_memory_holds_tensors_and_whole_numbers_and_no_times():
    def memory(**attributes):
        return whole_state(SimpleNamespace(**attributes))

    assert memory(a=torch.ones(2), n=1) == memory(a=torch.ones(2), n=1)
    assert memory(a=torch.ones(2)) != memory(a=torch.zeros(2))
    assert memory(a={"b": [torch.ones(2)]}) != memory(a={"b": [torch.zeros(2)]})
    assert memory(a=torch.ones(2)) != memory(a=torch.ones(2, 1))
    assert memory(n=1) != memory(n=2)
    assert memory(n=np.ones(1)) != memory(n=np.zeros(1))
    assert memory(seconds=1.0) == memory(seconds=2.0)


def test_memory_survives_circles_and_counts_the_declared_state():
    one = SimpleNamespace(n=1)
    one.itself = one
    assert whole_state(one) == whole_state(one)
    assert declared_state(one) == ()
    assert declared_state(SimpleNamespace(state=lambda: {"n": 1})) != declared_state(
        SimpleNamespace(state=lambda: {"n": 2})
    )


def test_a_watched_run_charges_the_same_and_sees_every_call():
    bench = toy_bench(Cautious)
    before = capture(bench.subject).outcome.digest
    assert bench.sightings.incidents == []
    assert bench.sightings.counts["calls"] >= 3
    assert capture(bench.subject).outcome.digest == before


class Cautious(Thief):
    """Keeps its host, and state in a float."""

    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")

    @hookimpl
    def begin(self, host):
        self.host = host
        self.shift = 0.0

    @hookimpl
    def observe(self, scored):
        self.shift = self.shift + float(scored.logprobs.mean()) / 100

    @hookimpl
    def transform_logits(self, logits):
        return logits * (1 + self.shift)


class NotCopied(Cautious):
    @hookimpl
    def begin(self, host):
        super().begin(host)
        self.lock = threading.Lock()


def test_a_strategy_that_cannot_be_copied_is_not_covered_and_still_runs():
    sightings = toy_bench(NotCopied).sightings
    assert "cannot be copied" in sightings.blind_for("REHEARSAL")
    assert sightings.incidents == []

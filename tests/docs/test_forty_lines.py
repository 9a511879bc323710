"""The score in forty lines is the engine's score, by the same strategy through the hooks."""

import runpy

import pytest

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.testing.compositions import composition_of
from tests.docs.examples import DOCS
from tests.tiny import CONTEXT, VOCABULARY, random_stream, tiny_model

FILE = DOCS / "why" / "forty_lines.py"


def test_it_is_the_score_of_the_engine():
    page = runpy.run_path(str(FILE))

    class Counting:
        contract_version = 1
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        def __init__(self, options):
            self.own = page["Counting"](VOCABULARY)

        @hookimpl
        def mix(self, logprobs):
            return self.own.mix(logprobs)

        @hookimpl
        def observe(self, scored):
            self.own.observe(scored.targets)

    model, stream = tiny_model(), random_stream((37, 25, 40))
    composition = composition_of(Counting, options={"sliding": {"context": CONTEXT, "stride": 4}})
    outcome = InlineRun(model, stream, composition, Settings(batch=1)).run()
    found = page["bits_per_byte"](model, stream, page["Counting"](VOCABULARY), CONTEXT, 4)
    assert found == pytest.approx(outcome.bits / stream.text_bytes, rel=1e-7)


def test_they_are_forty():
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= 40

from contextlib import closing, nullcontext
from dataclasses import dataclass, field

import numpy as np
import pytest

from evaladapt.engine.forward import ContinuedRow, WholeRows, forward_for
from evaladapt.engine.loop import Settings
from evaladapt.engine.source import UNKNOWN
from evaladapt.judge import charging
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.records.snapshot import CoderState, Journal
from evaladapt.testing.compositions import composition_of
from tests.strategies import EVERY_KIND, DocumentUnigram, Hedge
from tests.tiny import BOS, random_stream, tiny_model

SLIDING = {"sliding": {"stride": 4}}
COMPOSITIONS = [(), EVERY_KIND, (*EVERY_KIND, Hedge), (DocumentUnigram,)]


@dataclass
class GrowingText:
    """A text of which only the boundaries are known, as a decoder has it."""

    documents: np.ndarray
    name: str = "growing"
    tokens: np.ndarray = field(init=False)

    def __post_init__(self):
        self.tokens = np.full(len(self.documents), UNKNOWN, dtype=np.int32)
        self.tokens[np.diff(self.documents, prepend=-1) > 0] = BOS

    @property
    def targets(self):
        return len(self.tokens) - 1


class Oracle:
    """A coder that knows the text and tells one target after the other."""

    def __init__(self, text, source):
        self.text, self.source = text, source
        self.settled = []

    def settle(self, targets, logprobs):
        (target,) = targets.tolist()
        assert logprobs.shape == (1, 24)
        assert (self.source.tokens[target:] == UNKNOWN)[self.text.tokens[target:] != BOS].all()
        self.source.tokens[target] = self.text.tokens[target]
        self.settled.append(target)

    def state(self) -> CoderState:
        return {"tokens": self.source.tokens.tobytes()}

    def restore(self, state: CoderState) -> None:
        self.source.tokens[:] = np.frombuffer(state["tokens"], dtype=np.int32)


def growing_run(classes, *, journal=None, progress=None):
    text = random_stream()
    source = GrowingText(text.documents)
    oracle = Oracle(text, source)
    composition = composition_of(*classes, options=SLIDING)
    settings = Settings(batch=3, mode="step")
    engine = InlineRun(tiny_model(), source, composition, settings, coder=oracle, journal=journal, progress=progress)
    with closing(journal.file) if journal else nullcontext():
        return engine.run(), oracle


@pytest.mark.parametrize("classes", COMPOSITIONS)
def test_a_text_that_grows_target_by_target_gives_the_ledger_of_the_whole_text(classes):
    outcome, oracle = growing_run(classes)
    text = random_stream()
    whole = InlineRun(
        tiny_model(), text, composition_of(*classes, options=SLIDING), Settings(batch=3, mode="step")
    ).run()
    assert outcome.digest == whole.digest
    assert oracle.settled == [one for one in range(1, text.targets + 1) if text.tokens[one] != BOS]


def test_a_growing_run_goes_on_after_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr(charging, "SNAPSHOT_SECONDS", 0.0)
    expected, _ = growing_run(EVERY_KIND)

    class StopError(Exception):
        pass

    def stop(done, total):
        if done > 20:
            raise StopError

    with pytest.raises(StopError):
        growing_run(EVERY_KIND, journal=Journal(tmp_path, "run", {"text": "one"}), progress=stop)
    outcome, oracle = growing_run(EVERY_KIND, journal=Journal(tmp_path, "run", {"text": "one"}, resume=True))
    assert outcome.digest == expected.digest
    assert oracle.settled[0] > 10


def test_step_mode_reads_whole_rows_of_a_model_that_cannot_continue_them():
    model = tiny_model()

    class Plain:
        hidden_size, vocab_size, context, layers = 16, 24, 16, 2

        def __getattr__(self, name):
            if name in ("extend", "start_cache"):
                raise AttributeError(name)
            return getattr(model, name)

    assert isinstance(forward_for(model, "step"), ContinuedRow)
    assert isinstance(forward_for(model, "block"), WholeRows)
    assert isinstance(forward_for(Plain(), "step"), WholeRows)
    composition = composition_of(options=SLIDING)
    continued, whole = (
        InlineRun(one, random_stream(), composition, Settings(mode="step")).run().nats for one in (model, Plain())
    )
    assert continued == pytest.approx(whole, abs=1e-4)

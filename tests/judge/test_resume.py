from contextlib import closing

import pytest

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine.loop import Settings
from evaladapt.judge import charging
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.records.snapshot import Journal
from evaladapt.testing.compositions import composition_of
from tests.strategies import EVERY_KIND, Honest
from tests.tiny import random_stream, tiny_model

FACTS = {"text": "one"}


class KilledError(Exception):
    pass


def run(folder, *, kill_after=None, resume=False, classes=EVERY_KIND):
    batches = 0

    def progress(done, total):
        nonlocal batches
        batches += 1
        if batches == kill_after:
            raise KilledError

    composition = composition_of(*classes, options={"sliding": {"stride": 4}})
    journal = Journal(folder, "adapted", FACTS, resume=resume)
    with closing(journal.file):
        return InlineRun(
            tiny_model(), random_stream(), composition, Settings(batch=2), journal=journal, progress=progress
        ).run()


@pytest.fixture
def every_batch(monkeypatch):
    """A snapshot after every batch."""
    monkeypatch.setattr(charging, "SNAPSHOT_SECONDS", 0.0)


@pytest.mark.usefixtures("every_batch")
def test_a_run_killed_after_any_batch_ends_with_the_same_ledger(tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = run(whole)
    content = (whole / "adapted.ledger").read_bytes()
    batches = len(content.splitlines()) - 1
    assert batches > 5
    for kill_after in range(1, batches + 1):
        folder = tmp_path / str(kill_after)
        folder.mkdir()
        with pytest.raises(KilledError):
            run(folder, kill_after=kill_after)
        outcome = run(folder, resume=True)
        assert outcome.digest == expected.digest
        assert (outcome.nats, outcome.document_nats.tolist()) == (expected.nats, expected.document_nats.tolist())
        assert (folder / "adapted.ledger").read_bytes() == content


@pytest.mark.usefixtures("every_batch")
@pytest.mark.parametrize("torn", [1, 17, 60])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    expected = run(tmp_path)
    content = (tmp_path / "adapted.ledger").read_bytes()
    with pytest.raises(KilledError):
        run(tmp_path, kill_after=4)
    file = tmp_path / "adapted.ledger"
    (tmp_path / "adapted.ledger").write_bytes(file.read_bytes() + content.splitlines(keepends=True)[5][:-torn])
    assert run(tmp_path, resume=True).digest == expected.digest
    assert file.read_bytes() == content


def test_resume_without_a_snapshot_starts_over(tmp_path):
    expected = run(tmp_path)
    assert not (tmp_path / "adapted.snapshot").exists()
    assert run(tmp_path, resume=True).digest == expected.digest


@pytest.mark.usefixtures("every_batch")
def test_a_strategy_that_cannot_tell_its_state_takes_no_snapshot(tmp_path):
    class Forgetful(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            self.last = scored

    run(tmp_path, classes=(Forgetful,))
    assert not (tmp_path / "adapted.snapshot").exists()

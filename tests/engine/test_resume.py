import numpy as np
import pytest

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine import loop
from evaladapt.engine.loop import Settings
from evaladapt.errors import ContractViolation, EvaladaptError
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.ledger import Ledger, LedgerFile
from evaladapt.judge.snapshot import Journal
from evaladapt.testing.compositions import composition_of
from tests.strategies import EVERY_KIND, Honest
from tests.tiny import random_stream, tiny_model

IDENTITY = "one run"


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
    journal = Journal(folder, "adapted", IDENTITY, resume)
    return InlineRun(
        tiny_model(), random_stream(), composition, Settings(batch=2), journal=journal, progress=progress
    ).run()


@pytest.fixture
def every_batch(monkeypatch):
    """A snapshot after every batch."""
    monkeypatch.setattr(loop, "SNAPSHOT_SECONDS", 0.0)


@pytest.mark.usefixtures("every_batch")
def test_a_run_killed_after_any_batch_ends_with_the_same_ledger(tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = run(whole)
    content = (whole / "adapted.ledger").read_bytes()
    assert expected.batches > 5
    for kill_after in range(1, expected.batches + 1):
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


def test_a_ledger_of_another_run_is_refused(tmp_path):
    file = LedgerFile(tmp_path / "x.ledger", "this")
    file.start()
    file.close()
    with pytest.raises(EvaladaptError, match="belongs to another run"):
        list(LedgerFile(tmp_path / "x.ledger", "that").lines())


def test_a_flipped_byte_ends_the_readable_part(tmp_path):
    path = tmp_path / "x.ledger"
    file = LedgerFile(path, "this")
    file.start()
    for batch in range(3):
        file.append(batch, 1 + 2 * batch, np.array([-1.0, -2.0]))
    file.close()
    whole = path.read_bytes()
    lines = list(file.lines())
    assert [line.first for line in lines] == [1, 3, 5]
    for index in range(lines[0].end_offset, lines[1].end_offset):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        assert len(list(file.lines())) == 1


def test_the_ledger_takes_every_target_once_and_in_order():
    ledger = Ledger(3, np.zeros(4, dtype=np.int32))
    ledger.commit(1, np.array([-1.0]))
    for wrong in (1, 3):
        with pytest.raises(ContractViolation, match="clause C4"):
            ledger.commit(wrong, np.array([-1.0]))
    ledger.commit(2, np.array([-0.5]))
    ledger.close_batch(0)
    with pytest.raises(ContractViolation, match="2 of 3 targets"):
        ledger.finish()


def test_a_full_disk_is_one_message(tmp_path, monkeypatch):
    class Full:
        def write(self, line):
            raise OSError(28, "No space left on device")

    file = LedgerFile(tmp_path / "x.ledger", "this")
    file.start()
    file.close()
    file._file = Full()
    with pytest.raises(EvaladaptError, match="No space left on device"):
        file.append(0, 1, np.array([-1.0]))

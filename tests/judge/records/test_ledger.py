import numpy as np
import pytest

from evaladapt.errors import ContractViolation, EvaladaptError
from evaladapt.judge.records.ledger import Ledger, LedgerFile, charges_in


def test_a_ledger_of_another_run_is_refused(tmp_path):
    file = LedgerFile(tmp_path / "x.ledger", {"text": "this"})
    file.start()
    file.close()
    with pytest.raises(EvaladaptError, match='belongs to another run: text "this" there, "that" here'):
        list(LedgerFile(tmp_path / "x.ledger", {"text": "that"}).lines())


@pytest.mark.parametrize("first", [b"", b"{}", b"[]", b'{"facts": []}', b'{"facts": "x"}', b"[" * 100_000, b"\xff"])
def test_a_file_that_is_no_ledger_is_refused(tmp_path, first):
    (tmp_path / "x.ledger").write_bytes(first + b"\n")
    with pytest.raises(EvaladaptError, match="belongs to another run"):
        list(LedgerFile(tmp_path / "x.ledger", {"text": "that"}).lines())
    with pytest.raises(EvaladaptError):
        charges_in(tmp_path / "x.ledger")


def test_a_header_that_was_torn_is_a_ledger_without_lines(tmp_path):
    """So a run whose disk was full at its first line begins again; it is not another run's."""
    path, file = tmp_path / "x.ledger", LedgerFile(tmp_path / "x.ledger", {"text": "this"})
    file.start()
    file.close()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert list(file.lines()) == []


def test_a_flipped_byte_ends_the_readable_part(tmp_path):
    path = tmp_path / "x.ledger"
    file = LedgerFile(path, {"text": "this"})
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

    file = LedgerFile(tmp_path / "x.ledger", {"text": "this"})
    file.start()
    file.close()
    file._file = Full()
    with pytest.raises(EvaladaptError, match="No space left on device"):
        file.append(0, 1, np.array([-1.0]))

"""Snapshots: whole, of one ledger prefix, and otherwise a message and never another score."""

import json
import re
import shutil
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.errors import EvaladaptError
from evaladapt.judge.records.ledger import Ledger
from evaladapt.judge.records.snapshot import Journal, read_snapshot

FACTS = {"text": "one", "options": {"lr": 0.1}}
DOCUMENTS = np.zeros(13, dtype=np.int32)


def journal(folder, facts=FACTS, said=None, **how):
    return Journal(folder, "adapted", facts, say=(said if said is not None else []).append, **how)


def write(folder, state=b"state", coder=None, batches=3):
    """A run of four batches that took a snapshot after ``batches``."""
    kept = journal(folder)
    with closing(kept.file):
        ledger = Ledger(12, DOCUMENTS, kept)
        kept.take_up(ledger)
        for batch in range(4):
            ledger.commit(1 + 3 * batch, -0.5 * np.arange(1, 4))
            ledger.close_batch(batch)
            if batch + 1 == batches:
                kept.save(batches, ledger, state, coder or {})
    return ledger


def take_up(folder, **how):
    kept = journal(folder, resume=True, **how)
    ledger = Ledger(12, DOCUMENTS, kept)
    with closing(kept.file):
        return kept.take_up(ledger), ledger


@given(
    state=st.binary(min_size=1, max_size=50),
    coder=st.dictionaries(st.text(max_size=5), st.binary(max_size=9) | st.integers()),
)
def test_what_was_kept_comes_back(tmp_path_factory, state, coder):
    folder = tmp_path_factory.mktemp("snapshot")
    write(folder, state, coder)
    found, ledger = take_up(folder)
    assert (found.batches, found.state, dict(found.coder)) == (3, state, coder)
    assert (ledger.due, ledger.nats) == (10, 9.0)
    assert len((folder / "adapted.ledger").read_bytes().splitlines()) == 4


def test_every_flipped_bit_and_every_cut_is_one_message(tmp_path):
    write(tmp_path, b"state", {"payload": b"abc", "low": 7})
    path = tmp_path / "adapted.snapshot"
    whole = path.read_bytes()
    for index in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[index // 8] ^= 1 << index % 8
        path.write_bytes(flipped)
        with pytest.raises(EvaladaptError, match="remove it to start over"):
            take_up(tmp_path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(EvaladaptError, match="remove it to start over"):
            take_up(tmp_path)
    path.write_bytes(whole)
    assert take_up(tmp_path)[0].batches == 3


@given(
    content=st.binary(max_size=60) | st.sampled_from([b"[" * 10**5, b"{}", b"null\n", b'{"format": 1}\n', b"1" * 5000])
)
def test_what_is_no_snapshot_is_one_message(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("snapshot") / "x.snapshot"
    path.write_bytes(content)
    with pytest.raises(EvaladaptError, match="remove it to start over"):
        read_snapshot(path, "one")


def test_a_snapshot_of_another_ledger_is_refused(tmp_path):
    write(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    kept = journal(other)
    with closing(kept.file):
        ledger = Ledger(12, DOCUMENTS, kept)
        kept.take_up(ledger)
        for batch in range(4):
            ledger.commit(1 + 3 * batch, np.array([-0.5, -1.0, -1.5 - 1e-9]))
            ledger.close_batch(batch)
    shutil.copy(tmp_path / "adapted.snapshot", other)
    with pytest.raises(EvaladaptError, match="does not belong to"):
        take_up(other)


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_a_ledger_shorter_than_its_snapshot_is_begun_again(tmp_path, lines):
    write(tmp_path)
    path = tmp_path / "adapted.ledger"
    content = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(content[: 1 + lines]) + content[1 + lines][:-9])
    said = []
    found, ledger = take_up(tmp_path, said=said)
    assert found is None
    assert (ledger.due, ledger.nats) == (1, 0.0)
    assert f"holds {lines} of the 3 batches" in said[0]
    assert not (tmp_path / "adapted.snapshot").exists()
    assert path.read_bytes() == content[0]


def test_what_differs_from_the_run_that_is_there_is_named(tmp_path):
    write(tmp_path)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with pytest.raises(EvaladaptError, match=re.escape('options {"lr": 0.1} there, {"lr": 0.2} here')):
        take_up(tmp_path, facts={**FACTS, "options": {"lr": 0.2}})
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_the_head_of_a_snapshot_is_plain_json(tmp_path):
    write(tmp_path)
    head = json.loads((tmp_path / "adapted.snapshot").read_bytes().partition(b"\n")[0])
    assert (head["batches"], head["state_bytes"]) == (3, 5)

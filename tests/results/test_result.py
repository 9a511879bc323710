"""Documents and targets add up to the score, and what lies in the folder of a run is not believed unseen."""

import math
import shutil

import numpy as np
import pytest

import evaladapt as ea
from evaladapt.errors import DataError
from evaladapt.results.scored_text import NAME
from tests.results.conftest import DOCUMENTS


def test_documents_add_up_to_the_score(result):
    rows = result.documents()
    assert [row.bytes for row in rows] == [len(one.encode()) for one in DOCUMENTS]
    assert sum(row.targets for row in rows) == result.record.data.targets
    bits = sum(row.bits for row in rows) + result.record.adapted.boundary_bits
    assert bits / sum(row.bytes for row in rows) == pytest.approx(result.bpb)
    assert all(row.gain == pytest.approx((row.base_bits - row.bits) / row.bytes) for row in rows)


def test_targets_add_up_to_documents_and_spell_the_text(result):
    rows = list(result.targets())
    assert [row.position for row in rows] == list(range(1, result.record.data.targets + 1))
    for document, text in zip(result.documents(), DOCUMENTS, strict=True):
        own = [row for row in rows if row.document == document.number]
        assert sum(row.nats for row in own) / math.log(2) == pytest.approx(document.bits, rel=1e-5)
        assert sum(row.base_nats for row in own) / math.log(2) == pytest.approx(document.base_bits, rel=1e-5)
        assert sum(row.bytes for row in own) == document.bytes
        assert own[-1].gain == pytest.approx(own[-1].base_nats - own[-1].nats)
        if text.isascii():
            assert "".join(row.text for row in own).strip() == text.strip()


def test_without_a_base_there_is_no_gain():
    alone = ea.run("micro", DOCUMENTS[:1], plugins="ngram", inline=True, base=False)
    (document,) = alone.documents()
    assert (document.base_bits, document.gain) == (None, None)
    assert alone.targets()[0].base_nats is None


def damaged(folder, name, change):
    content = bytearray((folder / name).read_bytes())
    change(content)
    (folder / name).write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("text.npz", lambda content: content.__setitem__(len(content) // 2, content[len(content) // 2] ^ 1), "damaged"),
        ("text.npz", lambda content: content.clear(), "damaged"),
        ("adapted.ledger", lambda content: content.__delitem__(slice(-50, None)), "not the ledger"),
    ],
)
def test_what_does_not_belong_together_is_refused(result, run_folder, tmp_path, name, change, said):
    shutil.copytree(run_folder, tmp_path / "copy")
    damaged(tmp_path / "copy", name, change)
    with pytest.raises(ea.EvaladaptError, match=said):
        ea.open_run(tmp_path / "copy")


def test_the_text_of_another_run_is_refused(result, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "copy")
    ea.run("micro", DOCUMENTS[:1], inline=True, folder=tmp_path / "other")
    shutil.copy(tmp_path / "other" / NAME, tmp_path / "copy" / NAME)
    with pytest.raises(DataError, match="not the text of the record"):
        ea.open_run(tmp_path / "copy")


@pytest.mark.parametrize(("column", "place"), [("documents", 3), ("known", 0), ("ends", 1)])
def test_a_forged_text_is_refused(result, run_folder, tmp_path, column, place):
    shutil.copytree(run_folder, tmp_path / "copy")
    path = tmp_path / "copy" / NAME
    with np.load(path) as found:
        columns = dict(found)
    columns[column][place] += 1000
    np.savez_compressed(path, **columns)
    with pytest.raises(DataError, match="out of order"):
        ea.open_run(tmp_path / "copy")


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(DataError, match=r"no record\.json.*--resume"):
        ea.open_run(tmp_path)

"""The Python call does what the command does, and says by document what it did."""

import math
import subprocess
import sys

import pytest

import evaladapt as ea

DOCUMENTS = ["The cat sat on the mat, and the cat sat on the mat again. " * 4, "A dog ran through the garden. " * 6]


@pytest.fixture(scope="module")
def result():
    return ea.run("micro", DOCUMENTS, plugins="ngram")


def test_a_sealed_run_is_a_score(result):
    assert result.verdict == "CAUSAL"
    assert result.record.checked.sealed_by
    assert result.bpb < result.base_bpb
    assert result.difference.bpb == pytest.approx(result.bpb - result.base_bpb)


def test_documents_add_up_to_the_score(result):
    rows = result.documents()
    assert [row.bytes for row in rows] == [len(one.encode()) for one in DOCUMENTS]
    bits = sum(row.bits for row in rows) + result.record.adapted.boundary_bits
    assert bits / sum(row.bytes for row in rows) == pytest.approx(result.bpb)
    assert all(row.gain == pytest.approx((row.base_bits - row.bits) / row.bytes) for row in rows)
    assert float(result.target_nats.sum()) / math.log(2) == pytest.approx(sum(row.bits for row in rows), rel=1e-5)


def test_inline_scores_the_same_and_proves_nothing(result):
    inline = ea.run("micro", DOCUMENTS, plugins="ngram", inline=True)
    assert inline.verdict == "UNCHECKED"
    assert inline.record.adapted.ledger_sha256 == result.record.adapted.ledger_sha256


def test_a_file_is_read_and_a_limit_holds(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(DOCUMENTS[0])
    found = ea.run("micro", path, limit_tokens=20, inline=True, base=False)
    assert found.record.data.targets == 20
    assert found.record.data.paths == (str(path),)
    assert found.base_bpb is None


def test_options_are_named_by_alias(tmp_path):
    with pytest.raises(ea.EvaladaptError, match=r"alias\.key"):
        ea.run("micro", DOCUMENTS, options={"lr": 1})


def test_the_package_is_imported_without_torch():
    code = "import sys, evaladapt; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

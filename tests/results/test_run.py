"""The Python call does what the command does."""

import subprocess
import sys

import pytest

import evaladapt as ea

DOCUMENTS = ["The cat sat on the mat, and the cat sat on the mat again. " * 4, "A dog ran through the garden. " * 6]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "kept"


@pytest.fixture(scope="module")
def result(kept):
    return ea.run("micro", DOCUMENTS, plugins="ngram", folder=kept)


def test_a_sealed_run_is_a_score(result):
    assert result.verdict == "CAUSAL"
    assert result.record.checked.sealed_by
    assert result.bpb < result.base_bpb
    assert result.difference.bpb == pytest.approx(result.bpb - result.base_bpb)


def test_inline_scores_the_same_and_proves_nothing(result):
    inline = ea.run("micro", DOCUMENTS, plugins="ngram", inline=True)
    assert inline.verdict == "UNCHECKED"
    assert inline.record.adapted.ledger_sha256 == result.record.adapted.ledger_sha256


def test_a_run_is_opened_again_from_its_folder(result, kept):
    again = ea.open_run(kept)
    assert again.record == result.record
    assert list(again.documents()) == list(result.documents())
    assert list(again.targets()) == list(result.targets())


def test_a_folder_that_holds_a_run_is_refused(result, kept):
    with pytest.raises(ea.EvaladaptError, match="holds a run already"):
        ea.run("micro", DOCUMENTS, folder=kept, inline=True)


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

import json
import signal
import subprocess
import sys
import time

import pytest

import evaladapt as ea
from evaladapt.cli.main import invoke


@pytest.fixture
def compare(capsys, tiny_artifact, text_file, tmp_path):
    def call(*arguments, out="out"):
        command = ["compare", str(tiny_artifact), "--data", str(text_file), "--out", str(tmp_path / out), *arguments]
        code = invoke(command)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_every_composition_is_held_against_one_base(compare, capsys, tiny_artifact, text_file, tmp_path):
    given = ["--plugins", "ttt", "--plugins", "ttt,slot-lbfgs", "-o", "ttt.chunk=64", "-o", "slot-lbfgs.strength=2"]
    code, out, err = compare(*given, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [row["name"] for row in found["rows"]] == ["sliding", "ttt", "ttt,slot-lbfgs"]
    assert [row["verdict"] for row in found["rows"]] == ["CAUSAL"] * 3
    base, *records = found["records"]
    assert {record["base"]["ledger_sha256"] for record in records} == {base["adapted"]["ledger_sha256"]}
    assert records[1]["composition"][2]["options"]["strength"] == 2.0
    assert [(one["before"], one["after"]) for one in found["differences"]] == [
        ("sliding", "ttt"), ("sliding", "ttt,slot-lbfgs"), ("ttt", "ttt,slot-lbfgs"),
    ]  # fmt: skip
    alone = ["run", str(tiny_artifact), "--data", str(text_file), "--json", "--out", str(tmp_path / "alone")]
    invoke([*alone, "--plugins", "ttt[chunk=64]"])
    single = json.loads(capsys.readouterr().out)
    assert single["adapted"]["ledger_sha256"] == records[0]["adapted"]["ledger_sha256"]


@pytest.mark.parametrize("inline", [[], ["--inline"]], ids=["sealed", "inline"])
def test_what_cannot_be_composed_is_refused_before_anything_is_run(compare, tmp_path, inline):
    code, out, err = compare("--plugins", "ngram", "--plugins", "ttt[lr=0.004]", "--sweep", "ttt.epoch=1,2", *inline)
    assert (code, out) == (2, "")
    assert "strategy 'ttt' has no option 'epoch'. Did you mean 'epochs'?" in err
    assert not list((tmp_path / "out").iterdir())


def test_sweeps_seeds_and_texts_make_a_grid_that_python_reads(compare, capsys, text_file, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Another text, of which there is less.")
    given = ["--plugins", "ngram", "--sweep", "ngram.max_order=2,3", "--seeds", "0,1", "--data", str(other), "--inline"]
    code, out, err = compare(*given, "--report", str(tmp_path / "page.html"))
    assert code == 0, err
    assert "ngram[max_order=3]" in (tmp_path / "page.html").read_text()
    found = ea.open_comparison(tmp_path / "out")
    assert found.names == ["sliding", "ngram[max_order=2]", "ngram[max_order=3]"]
    assert found.manifest.texts == (text_file.name, "other.txt")
    assert len(found.cells) == 2 * (1 + 2 * 2)
    assert found.table(80) in out
    assert invoke(["show", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{found.table(80)}\n"
    assert invoke(["show", str(tmp_path / "out"), "--documents", str(tmp_path / "d.csv")]) == 2
    assert "10/10 ngram[max_order=3] · other.txt · seed 1:" in err


def test_a_comparison_that_is_killed_goes_on(tiny_artifact, text_file, tmp_path):
    given = ["--plugins", "ngram", "--plugins", "bias", "--seeds", "0,1,2,3", "--inline"]
    command = [sys.executable, "-m", "evaladapt", "compare", str(tiny_artifact), "--data", str(text_file), *given,
               "--out", str(tmp_path / "out")]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list((tmp_path / "out").glob("cells/*/record.json")):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert (process.returncode, "--resume" in err) == (130, True)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("cells/*/record.json")}
    assert invoke([*command[3:], "--resume"]) == 0
    assert len(ea.open_comparison(tmp_path / "out").cells) == 9
    assert len(kept) < 9
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plugins", "ttt", "-o", "slot-lbfgs.strength=2"], "takes no part"),
        (["--plugins", "ttt", "--sweep", "ttt.lr"], "ALIAS.KEY=V,V"),
        (["--plugins", "ttt", "--sweep", "tt.lr=1"], "Did you mean 'ttt'"),
        (["--plugins", "ttt", "--seeds", "a"], "whole numbers"),
        (["--plugins", "ttt", "--plugins", "ttt"], "there twice"),
        (["--plugins", "ttt[lr=1"], "does not close"),
    ],
)
def test_what_cannot_be_compared_is_refused(compare, arguments, said):
    code, out, err = compare(*arguments, "--inline")
    assert (code, out) == (2, "")
    assert said in err

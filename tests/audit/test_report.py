import json

import pytest

from evaladapt.cli.main import invoke


@pytest.fixture(scope="module")
def records(tmp_path_factory, tiny_artifact, text_file):
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        given = ["--plugins", "ttt", "-o", "ttt.chunk=40", "--limit-tokens", "90", "--seed", str(seed)]
        out = str(folder / str(seed))
        assert invoke(["run", str(tiny_artifact), "--data", str(text_file), *given, "--out", out]) == 0
    return [folder / "0" / "record.json", folder / "1"]


def report(capsys, *arguments):
    code = invoke(["report", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_markdown_holds_every_clause_hash_count_and_unit(capsys, records):
    capsys.readouterr()
    code, out, _ = report(capsys, *records)
    assert code == 0
    record = json.loads(records[0].read_text())
    for part in ("Verdict: **CAUSAL**", "### C1: ", "### C2: pass", "### C4: pass", "### D: ", "### W: pass",
                 "nats per target", "nats per byte", record["data"]["text_sha256"], record["artifact"]["sha256"],
                 record["adapted"]["ledger_sha256"][:16], "90 targets", "chunk=40", '"torch"', "## Not covered",
                 "## What was checked", "seccomp", "only the first 90 targets"):  # fmt: skip
        assert part in out, part


def test_seeds_have_a_mean_and_a_deviation(capsys, records):
    capsys.readouterr()
    _, out, _ = report(capsys, *records, "--json")
    content = json.loads(out)
    bpb = [json.loads(path.read_text())["bpb"] for path in (records[0], records[1] / "record.json")]
    score = content["scores_bits_per_byte"]["bpb"]
    assert score["mean"] == pytest.approx(sum(bpb) / 2)
    assert score["deviation"] == pytest.approx(abs(bpb[0] - bpb[1]) / 2**0.5)
    assert content["seeds"] == [0, 1]
    one = content["nats"][0]
    assert one["total"] == pytest.approx(one["per_target"] * 90)


def test_an_audit_that_convicts_takes_the_score_away(capsys, records, tmp_path):
    finding = {"clause": "C1", "probe": "FLIP", "outcome": "fail", "evidence": "it moved", "backend": "toy",
               "counterexample": {"changed": "tokens", "difference": "all", "positions": [3], "command": "evaladapt"},
               "figures": {}}  # fmt: skip
    (tmp_path / "audit.json").write_text(json.dumps({"findings": [finding]}))
    capsys.readouterr()
    _, out, _ = report(capsys, records[0], "--audit", tmp_path / "audit.json", "--json")
    content = json.loads(out)
    assert content["verdict"] == "VIOLATED"
    assert "bpb" not in content["scores_bits_per_byte"]
    assert "claimed_bpb" in content["scores_bits_per_byte"]
    assert next(one for one in content["clauses"] if one["clause"] == "C1")["outcome"] == "fail"


def test_files_are_written_into_a_folder(capsys, records, tmp_path):
    code, out, _ = report(capsys, records[0], "--out", tmp_path / "section")
    assert code == 0
    assert (tmp_path / "section" / "report.md").read_text().startswith("# Compliance report: sliding,ttt")
    assert json.loads((tmp_path / "section" / "report.json").read_text())["verdict"] == "CAUSAL"
    assert "verdict CAUSAL" in out


def test_records_of_different_runs_are_refused(capsys, records, tmp_path):
    other = json.loads(records[0].read_text())
    other["composition"][1]["options"]["chunk"] = 41
    (tmp_path / "record.json").write_text(json.dumps(other))
    code, _, err = report(capsys, records[0], tmp_path)
    assert code == 2
    assert "another composition" in err


@pytest.mark.parametrize(
    ("content", "said"), [("{", "not valid JSON"), ("[]", "no record of a run"), ("{}", "no record of a run")]
)
def test_what_is_no_record_is_refused(capsys, tmp_path, content, said):
    (tmp_path / "x.json").write_text(content)
    code, _, err = report(capsys, tmp_path / "x.json")
    assert code == 5
    assert said in err


def test_a_missing_file_is_refused(capsys, tmp_path):
    code, _, err = report(capsys, tmp_path / "none.json")
    assert (code, "none.json" in err) == (5, True), err


def _damaged(record, *path, value):
    for name in path[:-1]:
        record = record[name]
    if value is None:
        del record[path[-1]]
    else:
        record[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "FINE"),
        (("verdict",), None),
        (("checked",), None),
        (("checked", "looks"), "many"),
        (("checked", "targets_bound"), "small"),
        (("clauses", 0, "outcome"), 3),
        (("composition",), [{}]),
        (("composition", 0, "options"), 3),
        (("findings",), [{}]),
        (("findings",), [{"probe": "ECHO"}]),
        (("adapted", "nats"), "1"),
        (("data", "targets"), 0),
        (("artifact", "sha256"), 3),
        (("surprise",), 1),
    ],
    ids=str,
)
def test_a_damaged_record_is_an_error_that_names_the_file(capsys, records, tmp_path, path, value):
    record = json.loads(records[0].read_text())
    _damaged(record, *path, value=value)
    (tmp_path / "record.json").write_text(json.dumps(record))
    code, _, err = report(capsys, tmp_path)
    assert code == 5, err
    assert "record.json" in err


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"findings": 3}', '{"findings": [{}]}', "[" * 5000])
def test_damaged_findings_are_an_error_that_names_the_file(capsys, records, tmp_path, content):
    (tmp_path / "audit.json").write_text(content)
    code, _, err = report(capsys, records[0], "--audit", tmp_path / "audit.json")
    assert code == 5, err
    assert "audit.json" in err

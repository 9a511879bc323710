import json

from evaladapt.cli.main import invoke


def compare(capsys, tiny_artifact, text_file, *arguments):
    code = invoke(["compare", str(tiny_artifact), "--data", str(text_file), *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_every_composition_is_held_against_one_base(capsys, tiny_artifact, text_file, tmp_path):
    given = ["--plugins", "ttt", "--plugins", "ttt,slot-lbfgs", "-o", "ttt.chunk=64", "-o", "slot-lbfgs.strength=2"]
    code, out, err = compare(capsys, tiny_artifact, text_file, *given, "--json", "--out", str(tmp_path))
    assert code == 0, err
    records = json.loads(out)
    assert [record["adapted"]["plugins"] for record in records] == ["sliding,ttt", "sliding,ttt,slot-lbfgs"]
    assert len({record["base"]["ledger_sha256"] for record in records}) == 1
    assert records[1]["composition"][2]["options"]["strength"] == 2.0
    assert json.loads((tmp_path / "01-ttt.json").read_text()) == records[0]
    alone = ["run", str(tiny_artifact), "--data", str(text_file), "--json", "--out", str(tmp_path / "alone")]
    invoke([*alone, "--plugins", "ttt", "-o", "ttt.chunk=64"])
    single = json.loads(capsys.readouterr().out)
    assert single["adapted"]["ledger_sha256"] == records[0]["adapted"]["ledger_sha256"]


def test_an_option_for_nobody_is_refused(capsys, tiny_artifact, text_file):
    code, _, err = compare(capsys, tiny_artifact, text_file, "--plugins", "ttt", "-o", "slot-lbfgs.strength=2")
    assert code == 2
    assert "takes no part" in err

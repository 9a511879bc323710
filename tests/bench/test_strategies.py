import json

import pytest

from evaladapt.bench import strategies
from evaladapt.bench.strategies import StrategySettings, alone, run
from evaladapt.cli.main import invoke
from evaladapt.errors import EXIT_USAGE

FEW = ["bias", "temperature"]


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(strategies, "alone", lambda: FEW)


def test_every_strategy_that_acts_and_does_not_peek_stands_alone():
    names = alone()
    assert {"ttt", "slot-lbfgs", "ngram", "gate", "ppm"} <= set(names)
    assert not {"sliding", "stream", "replica-675"} & set(names)


def test_every_model_on_every_text_has_a_table_with_the_best_first(few, tiny_artifact, text_file, tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("A text of its own. " * 9)
    settings = StrategySettings(
        models=[str(tiny_artifact)], texts={"long": text_file, "short": short}, compositions=["bias,hedge"],
        limit_tokens=60, folder=tmp_path / "kept", inline=True,
    )  # fmt: skip
    report = run(settings)
    assert [(one.text, one.targets) for one in report.tables] == [("long", 60), ("short", 60)]
    for table in report.tables:
        scores = [row.bpb for row in table.rows]
        assert scores == sorted(scores)
        assert {row.composition for row in table.rows} == {*FEW, "bias,hedge"}
        for row in table.rows:
            assert row.percent == pytest.approx(100 * (row.bpb - table.base_bpb) / table.base_bpb)
            assert row.verdict == "UNCHECKED"
    text = report.to_text()
    assert text.count("the plan alone") == 2
    assert run(settings).to_json()["tables"] == report.to_json()["tables"]  # from the folder, to the second


def test_the_command_names_texts(few, tiny_artifact, text_file, capsys):
    given = ["bench", "strategies", "--model", str(tiny_artifact), "--data", f"a={text_file}", "--limit-tokens", "40",
             "--plugins", "bias,hedge", "--inline", "--json"]  # fmt: skip
    assert invoke(given) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert table["text"] == "a"
    assert invoke([*given, "--data", "a=other.txt"]) == EXIT_USAGE
    assert "a name of its own" in capsys.readouterr().out

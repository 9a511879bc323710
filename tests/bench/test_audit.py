import json

import pytest

from evaladapt.bench import audit
from evaladapt.bench.report import BenchSettings
from evaladapt.cli.main import invoke
from evaladapt.errors import EXIT_OK

SECONDS = {"off": 10.0, "sample": 10.5}


@pytest.fixture
def levels(monkeypatch):
    """Levels of audit in the order in which runs were timed; the second pair is slower throughout, as machines are."""
    timed = []

    def seconds(request, level):
        timed.append(level)
        return SECONDS[level] * (2.0 if len(timed) in (3, 4) else 1.0)

    monkeypatch.setattr(audit, "_seconds", seconds)
    monkeypatch.setattr(audit, "_full_seconds", lambda request: 601.0)
    return timed


def test_pairs_take_turns_and_the_share_is_by_pair(levels, tiny_artifact, text_file):
    report = audit.run(BenchSettings(artifact=str(tiny_artifact), data=(text_file,), repeats=3))
    assert levels == ["off", "sample", "sample", "off", "off", "sample"]
    alone, added, full = report.figures
    assert alone.value == 10.0
    assert added.value == pytest.approx(5.0)
    assert (added.bound, added.kept) == (10.0, True)
    assert (full.bound, full.kept) == (600.0, False)


def test_the_whole_text_unless_less_is_asked_for(levels, tiny_artifact, text_file, capsys):
    arguments = ["bench", "audit", "--artifact", str(tiny_artifact), "--data", str(text_file), "--json"]
    said = []
    for limit in ([], ["--limit-tokens", "9"]):
        assert invoke([*arguments, *limit]) == EXIT_OK
        said.append(json.loads(capsys.readouterr().out)["figures"][0]["what"])
    assert said[1] == "run alone (9 targets)"
    assert said[0] != said[1]


def test_the_runs_are_real(tiny_artifact, text_file):
    settings = BenchSettings(artifact=str(tiny_artifact), data=(text_file,), limit_tokens=40, repeats=1)
    alone, _, full = audit.run(settings).figures
    assert alone.value > 0
    assert full.value > 0

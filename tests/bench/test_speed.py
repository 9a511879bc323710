"""The bench of speed says what was measured; no test looks at its times."""

import json

import pytest

from evaladapt.bench import speed
from evaladapt.bench.report import BenchSettings


@pytest.fixture
def few(monkeypatch):
    """Two pairs of the real ones, on few targets."""
    whole = speed.pairs
    monkeypatch.setattr(speed, "pairs", lambda subject: [whole(subject)[0], subject.fit_pair(2, 16)])


@pytest.mark.usefixtures("few")
def test_the_report_has_a_row_and_an_object_for_every_pair(tiny_artifact, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The ledger is append-only: for every target its log-probability, once, in order.\n" * 20)
    settings = BenchSettings(artifact=str(tiny_artifact), data=(text,), limit_tokens=200, repeats=1)
    report = speed.run(settings)
    assert [one.name for one in report.pairs] == ["sliding, stride 16", "slot-lbfgs, the fit of 2 x 16"]
    assert all(one.agrees and one.seconds > 0 for one in report.pairs)
    assert len(report.to_text().splitlines()) == 3
    written = json.loads(json.dumps(report.to_json()))
    assert written["pairs"][0]["ratio"] == report.pairs[0].ratio


def test_results_that_lie_apart_are_said_to_differ():
    measured = speed._measured(speed.Pair("odd", 1, lambda: 1.0, lambda: 2.0, 1.0, 0.5), 1)
    assert not measured.agrees
    assert measured.line.endswith("DIFFERS")

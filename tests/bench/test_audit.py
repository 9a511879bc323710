"""The bench of the contract runs real commands, both ways, and says when their ledgers differ."""

import pytest

from evaladapt.bench import audit
from evaladapt.bench.report import BenchSettings
from evaladapt.errors import EvaladaptError

QUICK = BenchSettings(artifact="micro", limit_tokens=64, repeats=1)


@pytest.fixture
def one_composition(monkeypatch):
    monkeypatch.setattr(audit, "PROMISES", (audit.Promise("bias", 1000.0, 20),))


def test_both_ways_are_run_and_give_one_ledger(one_composition):
    figures = {one.what.removeprefix("bias: "): one for one in audit.run(QUICK).figures}
    assert figures["sealed and doubted"].value > 0 < figures["inline"].value
    ratio = figures["sealed and doubted"].value / figures["inline"].value
    assert figures["over inline"].value == pytest.approx(ratio)
    assert figures["looks"].value >= 20
    assert figures["looks missing of 20"].kept
    assert figures["ledgers beside the first"].kept


def test_pairs_take_turns(one_composition, monkeypatch):
    order = []

    def timed(plugins, settings, *, inline):
        order.append("inline" if inline else "sealed")
        record = {"checked": {"looks": [1] * 19}, "adapted": {"ledger_sha256": "inline" if inline else "sealed"}}
        return audit._Timed(2.0 if inline else 3.0, record)

    monkeypatch.setattr(audit, "_timed", timed)
    figures = {one.what: one for one in audit.run(BenchSettings(repeats=2)).figures}
    assert order == ["sealed", "inline", "inline", "sealed"]
    assert figures["bias: over inline"].value == 1.5
    assert not figures["bias: looks missing of 20"].kept
    assert not figures["bias: ledgers beside the first"].kept


def test_a_run_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(audit, "PROMISES", (audit.Promise("no-such-strategy", 1.0, 1),))
    with pytest.raises(EvaladaptError, match="no-such-strategy"):
        audit.run(QUICK)

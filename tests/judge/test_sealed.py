"""A sealed player and one process come to the same ledger, and to what verdict."""

import pytest

from evaladapt.judge.evaluate import evaluate
from evaladapt.judge.records.record import CAUSAL, NONCAUSAL, UNCHECKED

PATHS = {
    "block": (("train", "hiddenshift", "windowbias", "sharedbias", "streamunigram"), {}),
    "documents": (("documentunigram",), {}),
    "charged": (("documentunigram", "hedge"), {"boundaries": "charged"}),
    "step": (("train", "windowbias", "streamunigram"), {"mode": "step"}),
    "built in": (("ttt", "slot-lbfgs", "bias", "ngram", "hedge"), {"options": {"ttt": {"chunk": "64"}}}),
}


@pytest.mark.parametrize("names", PATHS)
def test_a_sealed_player_charges_what_one_process_does_to_the_bit(ask, names):
    composition, how = PATHS[names]
    sealed, inline = (evaluate(ask(*composition, doubt="off", inline=one, **how)) for one in (False, True))
    assert sealed.adapted.ledger_sha256 == inline.adapted.ledger_sha256
    assert sealed.adapted.bits == inline.adapted.bits
    assert sealed.composition == inline.composition
    assert sealed.verdict == (CAUSAL if names == "step" else UNCHECKED)
    assert inline.verdict == UNCHECKED
    assert "--inline" in inline.checked.unchecked_because


def test_a_claim_is_a_claim(ask, monkeypatch):
    request = ask("replica-1318")
    object.__setattr__(request.composed, "allow_noncausal", True)
    record = evaluate(request)
    assert record.verdict == NONCAUSAL
    assert record.bpb is None
    assert record.claimed_bpb == record.adapted.bits_per_byte
    assert record.checked.looks == ()

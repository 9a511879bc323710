"""Changed runs, coded texts and tokenizers are read or refused with an error for people; the long run is ``fuzz``."""

from collections import Counter

from tests.results.fuzz import Inputs


def test_the_long_run_in_short(tmp_path):
    inputs = Inputs(seed=3, folder=tmp_path)
    outcomes = Counter(inputs.read_next() for _ in range(200))
    kinds = {"record", "record_bytes", "ledger", "text", "snapshot", "coded", "tokenizer"}
    assert {kind for kind, _ in outcomes} == kinds
    assert {kind for kind, outcome in outcomes if outcome != "read"} == kinds

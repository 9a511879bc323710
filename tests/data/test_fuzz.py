"""Changed files of every kind are read or refused with an error for people; a long run is in :mod:`tests.data.fuzz`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.data.fuzz import Inputs, outcome


def test_the_long_run_in_short(tmp_path: Path) -> None:
    inputs = Inputs(7, tmp_path)
    outcomes: Counter[tuple[str, str]] = Counter()
    for number in range(400):
        kind, path = inputs.draw()
        outcomes[kind, outcome(path, inputs.tokenizer, (None, 1, 50)[number % 3])] += 1
    kinds = {kind for kind, _ in outcomes}
    assert len(kinds) == 8
    assert {kind for kind, result in outcomes if result == "read"} >= kinds - {"noise"}
    assert {kind for kind, result in outcomes if result == "DataError"} == kinds

"""Changed trainings and configurations are read or refused with an error for people; the long run is ``fuzz``."""

from collections import Counter

from tests.train.fuzz import Inputs


def test_changed_files_are_read_or_refused(tmp_path):
    inputs = Inputs(seed=5, folder=tmp_path)
    outcomes = Counter(inputs.read_next() for _ in range(600))
    assert {kind for kind, _ in outcomes} == {
        *("strict_json", "strict_toml", "preset", "configuration", "metrics", "finished_model", "checkpoint")
    }
    assert {"read", "Malformed", "BeyondLimit", "UsageError", "DataError", "ArtifactError"} <= {
        outcome for _, outcome in outcomes
    }

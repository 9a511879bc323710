import pytest

from evaladapt.audit.replay import Charged, replayed
from evaladapt.audit.subject import Subject, capture
from evaladapt.engine.loop import Settings
from evaladapt.testing.compositions import composition_of
from tests.strategies import Train
from tests.tiny import random_stream, tiny_model


@pytest.fixture
def subject() -> Subject:
    return Subject(
        model=tiny_model(),
        stream=random_stream((61,)),
        composition=composition_of(Train, options={"sliding": {"stride": 4}}),
        settings=Settings(batch=3),
    )


def charged(subject: Subject, seconds: float) -> Charged:
    ends: list[int] = []
    whole = capture(subject, settle=lambda first, logprobs: ends.append(first + len(logprobs)))
    assert len(ends) > 3
    return Charged(whole.charged(subject.stream.tokens), tuple(ends), seconds)


def batches(subject: Subject, run_seconds: float, allowed: float) -> int:
    """How many are replayed."""
    run = charged(subject, run_seconds)
    findings = replayed(subject, run, allowed, seed=0)
    assert [one.outcome for one in findings] == ["pass", "pass"]
    (targets,) = {one.figures["targets"] for one in findings}
    return run.ends.index(targets + 1) + 1


def test_it_goes_on_as_long_as_there_is_time(subject: Subject) -> None:
    assert batches(subject, run_seconds=0.0, allowed=1e9) == len(charged(subject, 0.0).ends)


def test_two_batches_are_replayed_whatever_they_cost(subject: Subject) -> None:
    assert batches(subject, run_seconds=0.0, allowed=0.0) == 2


def test_a_run_that_grew_slow_is_taken_at_its_average(subject: Subject) -> None:
    assert batches(subject, run_seconds=1e9, allowed=1e6) == 2

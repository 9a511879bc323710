"""The promise of scores: what the shipped artifact charges for a fixed text does not change within a version."""

import pytest

from evaladapt.artifact import find_artifact, read_artifact
from evaladapt.contract.composition import compose
from evaladapt.data.building import stream_from_documents
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.model.backend import transformer_from_tensors

DOCUMENTS = [
    "The ledger is append-only: for every target its log-probability, once, in order. Nothing is scored again.",
    "A window is what the model is given: a start, and the span of targets that it scores.\n\nThe rest is its past.",
    "She had been there once before, in the summer, when the house was full and the garden in flower.",
]
ARTIFACT_SHA256 = "7d391df7e4b912993b5f812288098e507c46cbddd94295918f7f83ad41a33075"
NATS = {
    "sliding": 425.913832,
    "ttt": 425.322102,
    "slot-lbfgs": 427.488888,
    "ttt,slot-lbfgs": 426.956969,
    "stream": 433.256638,
    "stream,ttt,slot-lbfgs": 433.960770,
}
OPTIONS = {"sliding": {"context": 24, "stride": 8}, "stream": {"context": 24, "stride": 8}, "ttt": {"chunk": 32},
           "slot-lbfgs": {"strength": 1.5}}  # fmt: skip
LEARNED_NATS = 426.980289
ROUNDING = 1e-3
"""Nats over the whole text by which processors and torch versions may differ."""


@pytest.fixture(scope="module")
def artifact():
    return read_artifact(find_artifact("default"))


def charged(artifact, line: str, options=OPTIONS) -> float:
    stream = stream_from_documents(DOCUMENTS, SentencePieceTokenizer(artifact.tokenizer_model), "golden")
    names = line.split(",") if line.startswith("stream") else ["sliding", *line.split(",")]
    options = {alias: given for alias, given in options.items() if alias in names}
    model = transformer_from_tensors(artifact.model_config, artifact.tensors)
    return InlineRun(model, stream, compose(line.split(","), options), Settings(), boundaries="charged").run().nats


def test_the_shipped_artifact_is_the_promised_one(artifact):
    assert artifact.sha256 == ARTIFACT_SHA256


def test_a_learned_strength_charges_what_it_did(artifact):
    assert charged(artifact, "slot-lbfgs", OPTIONS | {"slot-lbfgs": {}}) == pytest.approx(LEARNED_NATS, abs=ROUNDING)


@pytest.mark.parametrize("line", NATS)
def test_the_golden_text_costs_what_it_did(artifact, line):
    assert charged(artifact, line) == pytest.approx(NATS[line], abs=ROUNDING)

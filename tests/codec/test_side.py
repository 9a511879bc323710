import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.codec.side import LARGEST, STEPS, AdaptiveCode, SideInformation, charge_claim
from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine.evaluate import Request, evaluate
from evaladapt.engine.loop import Settings
from evaladapt.testing.compositions import composition_of
from tests.strategies import Honest
from tests.tiny import random_stream, tiny_model


class PeekingBias(Honest):
    """A logit delta per row, from the counts of the row's own span."""

    capabilities = Capabilities(stage=Stage.LOGITS, peeks=True, breaks=("C1",))
    told = None

    @hookimpl
    def adapt(self, past):
        self.delta = torch.zeros(past.targets.shape[0], 1, 24)
        for row, targets in enumerate(past.targets):
            self.delta[row, 0] = 3.1 * torch.bincount(targets[past.in_span[row]], minlength=24).clamp(max=1)

    @hookimpl
    def transform_logits(self, logits):
        if self.told is not None:
            self.told.append(self.delta.clone())
        return logits + self.delta

    @hookimpl
    def fitted(self):
        return {"delta": self.delta}


class SilentBias(PeekingBias):
    fitted = None


def request(frozen, *classes):
    composition = composition_of(*classes, options={"sliding": {"stride": 4}}, allow_noncausal=True)
    stream = random_stream()
    return Request(artifact=frozen.artifact, model=tiny_model(), stream=stream, composition=composition,
                   settings=Settings(batch=3))  # fmt: skip


def sequential_bits(values):
    """The adaptive code one value after the other, as a coder would use it."""
    counts, bits = dict.fromkeys(range(-LARGEST, LARGEST + 1), 0.5), 0.0
    counts["escape"] = 0.5
    for value in values:
        key = value if abs(value) <= LARGEST else "escape"
        bits -= math.log2(counts[key] / sum(counts.values()))
        counts[key] += 1
        if key == "escape":
            excess = abs(value) - LARGEST
            bits += 2 * (excess.bit_length() - 1) + 1 + 1
    return bits


@given(st.lists(st.integers(-400, 400), max_size=40))
def test_the_code_length_is_that_of_coding_one_value_after_the_other(values):
    code = AdaptiveCode()
    for part in (values[:7], values[7:]):
        code.add(np.array(part, dtype=np.int64))
    assert code.bits == pytest.approx(sequential_bits(values), abs=1e-6)


def test_what_is_told_is_rounded_in_place_and_counted():
    side = SideInformation(0.25)
    delta = torch.tensor([[0.3, -0.4, 0.0, 9.99]])
    side.tell("x", {"delta": delta})
    assert delta.tolist() == [[0.25, -0.5, 0.0, 10.0]]
    assert side.numbers == 4
    assert side.bits > 4


def test_a_claim_is_paid_for_and_predicted_from_what_was_told(frozen, monkeypatch):
    given_request = request(frozen, PeekingBias)
    record = evaluate(given_request)
    monkeypatch.setattr(PeekingBias, "told", [])
    charged = charge_claim(given_request, record)
    size = given_request.stream.text_bytes
    assert record.claimed_bpb < record.base.bits_per_byte
    assert charged.charged_bpb == pytest.approx(charged.text_bpb + charged.side_bpb)
    assert charged.text_bpb < record.base.bits_per_byte
    assert charged.step in STEPS
    assert charged.numbers == 24 * charged.windows
    assert charged.break_even_bits == pytest.approx((record.base.bits - record.adapted.bits) / charged.windows)
    assert charged.side_bpb * size / charged.windows > 4
    steps = {step for step in STEPS for told in PeekingBias.told if torch.equal(told, torch.round(told / step) * step)}
    assert steps
    assert not any((told == 3.1).any() for told in PeekingBias.told)


def test_a_claim_that_does_not_say_what_it_fitted_has_no_price(frozen):
    given_request = request(frozen, SilentBias)
    assert charge_claim(given_request, evaluate(given_request)) is None


def test_the_record_holds_the_price(frozen):
    given_request = request(frozen, PeekingBias)
    record = evaluate(given_request)
    assert record.to_json()["charged"] is None
    charged = charge_claim(given_request, record)
    assert json.loads(json.dumps(charged.__dict__))["charged_bpb"] == charged.charged_bpb

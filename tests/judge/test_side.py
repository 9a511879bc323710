import json
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.cli.main import invoke
from evaladapt.codec.range_coder import RangeDecoder, RangeEncoder
from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.contract.composition import compose
from evaladapt.contract.registry import installed, load
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from evaladapt.engine.loop import Settings
from evaladapt.engine.player.setup import Setup
from evaladapt.errors import EXIT_OK, PluginError
from evaladapt.judge.claim import charge
from evaladapt.judge.inline import InlineRun
from evaladapt.judge.records.record import Checked
from evaladapt.judge.records.verdict import finished_record
from evaladapt.judge.request import Request
from evaladapt.judge.side import ESCAPE, LARGEST, STEPS, AdaptiveCode, SideInformation
from evaladapt.model.families import FileUsed, OpenedModel
from evaladapt.testing.compositions import composition_of
from tests.strategies import Honest
from tests.tiny import random_stream, stream_of, tiny_model


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


class CopyingBias(PeekingBias):
    @hookimpl
    def fitted(self):
        return {"delta": self.delta.clone()}


def claimed(*classes):
    """A run of a strategy that peeks, in this process: what was set up, the text, and the record."""
    composition = composition_of(*classes, options={"sliding": {"stride": 4}}, allow_noncausal=True)
    opened = OpenedModel(
        tiny_model(), train_tokenizer(["some words"], 270), "tests", "tiny", (FileUsed("tiny", 1, "0" * 64),)
    )
    setup, stream = Setup(opened, composition, Settings(batch=3)), random_stream()
    request = Request(open_text=lambda _: stream, settings=setup.settings, inline=True)
    passes = [InlineRun(opened.backend, stream, one, setup.settings).run() for one in (composition.base(), composition)]
    ready = {**setup.description(), "files": []}
    return setup, stream, finished_record(request, ready, stream, passes[1], passes[0], Checked())


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


def gamma(excess):
    """Elias's code of a positive integer, as bits."""
    digits = [int(one) for one in f"{excess:b}"]
    return [0] * (len(digits) - 1) + digits


def written(values):
    """The adaptive code as bytes."""
    counts, coder = [1] * (2 * LARGEST + 2), RangeEncoder()
    for value in values:
        symbol = value + LARGEST if abs(value) <= LARGEST else ESCAPE
        coder.encode(sum(counts[:symbol]), counts[symbol], sum(counts))
        counts[symbol] += 2
        if symbol == ESCAPE:
            for bit in [*gamma(abs(value) - LARGEST), int(value < 0)]:
                coder.encode(bit, 1, 2)
    return coder.finish()


def read(payload, count):
    """The values again, from the bytes and their number alone."""
    counts, coder, values = [1] * (2 * LARGEST + 2), RangeDecoder(payload), []

    def bit():
        found = coder.position(2)
        coder.consume(found, 1)
        return found

    for _ in range(count):
        position, symbol = coder.position(sum(counts)), 0
        while position >= sum(counts[: symbol + 1]):
            symbol += 1
        coder.consume(sum(counts[:symbol]), counts[symbol])
        counts[symbol] += 2
        value = symbol - LARGEST
        if symbol == ESCAPE:
            zeros = 0
            while not bit():
                zeros += 1
            excess = int("1" + "".join(str(bit()) for _ in range(zeros)), 2)
            value = (LARGEST + excess) * (-1 if bit() else 1)
        values.append(value)
    return values


@given(st.lists(st.integers(-400, 400) | st.integers(-2, 2), max_size=40))
def test_what_is_charged_is_what_a_decoder_needs_to_read_the_values_back(values):
    payload = written(values)
    assert read(payload, len(values)) == values
    code = AdaptiveCode()
    code.add(np.array(values, dtype=np.int64))
    assert abs(8 * len(payload) - code.bits) < 9


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


def test_a_claim_is_paid_for_and_predicted_from_what_was_told(monkeypatch):
    setup, stream, record = claimed(PeekingBias)
    monkeypatch.setattr(PeekingBias, "told", [])
    charged = charge(setup, stream, record)
    size = stream.text_bytes
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


def test_a_claim_that_does_not_say_what_it_fitted_has_no_price():
    assert charge(*claimed(SilentBias)) is None


def test_a_claim_that_hands_out_copies_cannot_be_charged():
    with pytest.raises(PluginError, match="the very tensors"):
        charge(*claimed(CopyingBias))


def test_the_record_holds_the_price():
    setup, stream, record = claimed(PeekingBias)
    assert record.to_json()["charged"] is None
    charged = charge(setup, stream, record)
    assert json.loads(json.dumps(charged.__dict__))["charged_bpb"] == charged.charged_bpb


REPLICAS = [one.alias for one in installed() if one.distribution == "evaladapt" and load(one.alias).capabilities.peeks]


class Telling(SideInformation):
    """Keeps a copy of everything that was told."""

    def __init__(self):
        super().__init__(step=0.25)
        self.told = []

    def tell(self, strategy, fitted):
        super().tell(strategy, fitted)
        self.told.append({name: tensor.clone() for name, tensor in fitted.items()})


class Told:
    """Hands out what another run told, whatever was fitted here: the side of the decoder."""

    def __init__(self, told):
        self._told = iter(told)

    def tell(self, strategy, fitted):
        for name, tensor in next(self._told).items():
            fitted[name].copy_(tensor)


class Distributions:
    """A coder that writes nothing and keeps every distribution."""

    def __init__(self):
        self.rows = []

    def settle(self, targets, logprobs):
        self.rows.extend(torch.from_numpy(logprobs.copy()))


def predicted(alias, stream, side):
    """Distributions [N,V]."""
    composition = compose([alias], {"sliding": {"stride": 4}}, allow_noncausal=True)
    coder = Distributions()
    InlineRun(tiny_model(), stream, composition, Settings(batch=4), coder=coder, side=side).run()
    return torch.stack(coder.rows)


@pytest.mark.parametrize("alias", REPLICAS)
def test_with_what_is_told_a_decoder_predicts_every_target_from_its_prefix(alias):
    """Tokens from a target on are exchanged; with the same told, that target's distribution stays as it was."""
    target, tokens = 60, random_stream((90,)).tokens[1:].tolist()
    other = [*tokens[: target - 1], *(2 + (token - 1) % 20 for token in tokens[target - 1 :])]
    side = Telling()
    first = predicted(alias, stream_of(tokens), side)
    assert side.told
    changed = predicted(alias, stream_of(other), Told(side.told))
    assert torch.allclose(first[:target], changed[:target], atol=1e-5)
    assert not torch.allclose(first[target:], changed[target:], atol=1e-2)
    unpaid = predicted(alias, stream_of(other), None), predicted(alias, stream_of(tokens), None)
    assert not torch.allclose(unpaid[0][:target], unpaid[1][:target], atol=1e-5)


def test_one_command_shows_base_claim_and_charge(tiny_artifact, text_file, tmp_path, capsys):
    command = ["run", str(tiny_artifact), "--plugins", "replica-1318", "--allow-noncausal", "--data", str(text_file),
               "-o", "sliding.stride=4", "--audit", "off", "--limit-tokens", "150", "--out", str(tmp_path)]  # fmt: skip
    assert invoke(command) == EXIT_OK
    said = capsys.readouterr().out
    base, claimed, charged = (
        float(re.search(rf"([\d.]+) {unit}", said)[1]) for unit in ("bpb", "claimed_bpb", "charged_bpb")
    )
    assert claimed < base < charged
    price = json.loads((tmp_path / "record.json").read_text())["charged"]
    assert price["charged_bpb"] == pytest.approx(price["text_bpb"] + price["side_bpb"])
    assert charged == pytest.approx(price["charged_bpb"], abs=1e-4)

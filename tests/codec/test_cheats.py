"""Strategies that break the contract where the engine cannot see it: decoding finds every one.

In one process; a sealed player could not have had what these have.
"""

import re

import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.errors import ContractViolation, PluginError
from tests.codec.files import WORDS, decode_with, encode_with
from tests.strategies import Honest

CONTENT = WORDS[:140]
PROBS = Capabilities(stage=Stage.PROBS)


def leaning_to(logprobs, tokens):
    """Nine tenths of every distribution moved to one token."""
    chosen = torch.nn.functional.one_hot(tokens, logprobs.shape[-1]).float()
    return torch.log(0.1 * logprobs.exp() + 0.9 * chosen)


class GlobalPeek(Honest):
    """Keeps the text in a global that the encoder's process happens to fill."""

    capabilities = PROBS
    text = None

    @hookimpl
    def mix(self, logprobs, query):
        if self.text is None:
            return logprobs
        return leaning_to(logprobs, self.text[query.positions])


class Unsteady(Honest):
    """Does not give the same numbers twice."""

    capabilities = Capabilities(stage=Stage.LOGITS)
    generator = torch.Generator().manual_seed(0)

    @hookimpl
    def transform_logits(self, logits):
        return logits + 0.1 * torch.randn(logits.shape, generator=self.generator)


@pytest.fixture
def tokens(opened):
    ids = opened.tokenizer.encode(CONTENT.decode())
    return torch.cat([torch.tensor([opened.tokenizer.bos_id]), torch.from_numpy(ids).long()])


def bytes_named(said):
    """Where the message says that the text is right until, and where it is known to be wrong."""
    return [int(one) for one in re.findall(r"byte (\d+)", said)]


def test_a_text_kept_in_a_global_is_not_there_for_the_decoder(opened, tmp_path, tokens, monkeypatch):
    plain = encode_with(opened, CONTENT, tmp_path / "plain.evz")
    monkeypatch.setattr(GlobalPeek, "text", tokens)
    cheated = encode_with(opened, CONTENT, tmp_path / "x.evz", GlobalPeek)
    assert cheated.bits < 0.1 * plain.bits
    monkeypatch.setattr(GlobalPeek, "text", None)
    with pytest.raises(ContractViolation, match="used something besides the prefix") as caught:
        decode_with(opened, tmp_path / "x.evz", tmp_path / "x.txt", GlobalPeek)
    right, wrong = bytes_named(str(caught.value))
    assert right == 0
    assert wrong < len(CONTENT)
    assert caught.value.clause == "C1"
    assert not (tmp_path / "x.txt").exists()


def test_what_goes_wrong_late_is_placed_late(opened, tmp_path, tokens, monkeypatch):
    """The strategy is honest up to target 100."""
    late = tokens.clone()
    monkeypatch.setattr(GlobalPeek, "text", tokens)
    encode_with(opened, CONTENT, tmp_path / "x.evz", GlobalPeek)
    late[100:] = 5
    monkeypatch.setattr(GlobalPeek, "text", late)
    with pytest.raises(ContractViolation) as caught:
        decode_with(opened, tmp_path / "x.evz", tmp_path / "x.txt", GlobalPeek)
    right, wrong = bytes_named(str(caught.value))
    at = len(opened.tokenizer.decode_bytes(tokens[1:101].tolist()))
    assert 0 < right <= at <= wrong


def test_the_first_check_after_what_goes_wrong_finds_it(opened, tmp_path, monkeypatch):
    encode_with(opened, CONTENT, tmp_path / "x.evz", GlobalPeek)
    monkeypatch.setattr(GlobalPeek, "text", torch.full((1000,), 7))
    with pytest.raises(ContractViolation, match=r"up to byte 0 \(target 0\), and by byte \d+ \(target 32\)"):
        decode_with(opened, tmp_path / "x.evz", tmp_path / "x.txt", GlobalPeek)


def test_numbers_that_change_are_found(opened, tmp_path):
    encode_with(opened, CONTENT, tmp_path / "x.evz", Unsteady)
    with pytest.raises(ContractViolation, match="same numbers twice") as caught:
        decode_with(opened, tmp_path / "x.evz", tmp_path / "x.txt", Unsteady)
    right, wrong = bytes_named(str(caught.value))
    assert right < wrong <= len(CONTENT)


def test_a_strategy_that_just_fails_is_named_as_always(opened, tmp_path, monkeypatch):
    encode_with(opened, CONTENT, tmp_path / "x.evz", GlobalPeek)
    monkeypatch.setattr(GlobalPeek, "text", "nonsense")
    with pytest.raises(PluginError, match="strategy 'globalpeek' raised TypeError"):
        decode_with(opened, tmp_path / "x.evz", tmp_path / "x.txt", GlobalPeek)

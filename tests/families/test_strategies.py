"""Every kind of strategy on every architecture: it runs, changes predictions, and block mode is step mode."""

import pytest
import torch

from evaladapt.data.building import stream_from_documents
from evaladapt.model.families import open_model
from evaladapt_plugins.hedge import Hedge
from evaladapt_plugins.lora_ttt import LoraTtt
from evaladapt_plugins.ngram import Ngram
from evaladapt_plugins.slot_hidden import SlotHidden
from evaladapt_plugins.slot_lbfgs import SlotLbfgs
from evaladapt_plugins.ttt import ScoreFirstTraining
from tests.families.naive_golf import random_weights, saved
from tests.plugins.runs import logprobs

pytest.importorskip("transformers", reason="the extra hf is not installed")

CPU = torch.device("cpu")
KINDS = ["gpt2", "gpt-neox", "qwen3", "gemma2", "llama", "golf"]
TEXTS = ["the cat sat on the mat and the dog ran to the cat and the dog sat down.", "a cat, a dog and a mat: été"]
STRATEGIES = {
    "ttt": (ScoreFirstTraining, {"chunk": 16, "freeze": 1}),
    "lora-ttt": (LoraTtt, {"chunk": 8}),
    "slot-hidden": (SlotHidden, {}),
    "slot-lbfgs": (SlotLbfgs, {}),
    "ngram": (Ngram, {}),
}


@pytest.fixture
def model_of(folder_of, tmp_path, tiny_tokenizer):
    def model_of(kind):
        if kind != "golf":
            return open_model(str(folder_of(kind)[0]), CPU)
        (tmp_path / "tokens.model").write_bytes(tiny_tokenizer.model_bytes)
        (tmp_path / "m.pt").write_bytes(saved(random_weights(tiny_tokenizer.vocab_size)))
        return open_model(f"golf:{tmp_path / 'm.pt'},context=64", CPU)

    return model_of


def run(opened, *classes, options=None, mode="block"):
    stream = stream_from_documents(TEXTS, opened.tokenizer, "x")
    more = {"sliding": {"stride": 4, "context": 16}}
    return logprobs(*classes, stream=stream, options=options, more_options=more, model=opened.backend, mode=mode)


@pytest.mark.parametrize("kind", KINDS)
def test_block_is_step_and_both_are_what_the_model_says(model_of, folder_of, kind):
    opened = model_of(kind)
    block, step = run(opened), run(opened, mode="step")
    assert abs(block - step).max() < 1e-4
    stream = stream_from_documents(TEXTS, opened.tokenizer, "x")
    first = torch.from_numpy(stream.tokens[:17]).long()
    model = opened.backend if kind == "golf" else folder_of(kind)[1]
    own = model(first[None, :-1])
    own = (own if kind == "golf" else own.logits)[0]
    expected = own.log_softmax(-1).gather(-1, first[1:, None])[:, 0]
    assert abs(block[:16] - expected.detach().numpy()).max() < 1e-5


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("kind", KINDS)
def test_strategies_adapt_it(model_of, kind, name):
    opened = model_of(kind)
    strategy, options = STRATEGIES[name]
    before = {name: weight.clone() for name, weight in opened.backend.named_parameters()}
    base, adapted = run(opened), run(opened, strategy, options=options)
    assert abs(base - adapted).max() > 1e-4
    assert all(torch.equal(before[name], weight) for name, weight in opened.backend.named_parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_composition_of_them_is_the_same_step_by_step(model_of, kind):
    opened = model_of(kind)
    composition, options = (ScoreFirstTraining, SlotLbfgs, Ngram, Hedge), {"chunk": 16}
    block = run(opened, *composition, options=options)
    assert abs(block - run(opened, *composition, options=options, mode="step")).max() < 1e-3

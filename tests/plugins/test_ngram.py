import numpy as np
import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt_plugins.hedge import Hedge
from evaladapt_plugins.ngram import Ngram, NgramDocument, PowerLaw
from tests.plugins.runs import distance, engine, interrupted_and_resumed, logprobs, nats, repeated_document, sampled
from tests.strategies import Honest
from tests.tiny import random_stream, stream_of

CACHES = (Ngram, NgramDocument)


@pytest.mark.parametrize("cache", CACHES)
def test_a_text_that_repeats_itself_gets_cheaper(cache):
    stream = repeated_document()
    assert nats(cache, stream=stream) < nats(stream=stream) - 3.0


def test_text_of_the_models_own_is_left_almost_alone_once_the_factor_is_learned():
    stream = sampled(1600)
    plain, cached = logprobs(stream=stream), logprobs(Ngram, stream=stream)
    assert abs((plain - cached)[400:].mean()) < 0.02
    assert abs(nats(Ngram, Hedge, stream=stream) - nats(stream=stream)) < 0.02


def test_the_factor_rises_on_text_of_the_models_own_and_falls_on_a_text_that_repeats_itself():
    sampled_factor, repeating_factor = (
        engine(Ngram, stream=stream).run().closing.scalars["ngram"]["factor on strengths"]
        for stream in (sampled(), repeated_document())
    )
    assert sampled_factor > 32.0
    assert repeating_factor < 1.0


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize(
    "options", [{}, {"reach": 7}, {"max_order": 3, "recency": 0, "recent": 3}, {"max_entries": 60}]
)
def test_block_and_step_agree(cache, options):
    stream = stream_of([2, 3, 4, 5] * 12, [3, 4, 5, 6, 7] * 9)
    block, step = (logprobs(cache, stream=stream, options=options, mode=mode) for mode in ("block", "step"))
    assert distance(block, step) < 1e-4


def test_what_a_batch_has_said_counts_at_once():
    stream = repeated_document(times=4, length=12)
    at_once = logprobs(Ngram, stream=stream, batch=64)
    assert at_once[24:].mean() > logprobs(stream=stream, batch=64)[24:].mean() + 2.0


class Unlearning(Ngram):
    """Keeps to the strengths it was given."""

    def _learn(self, targets, model): ...


def test_the_size_of_a_batch_changes_no_count():
    stream = repeated_document(times=6)
    assert distance(*(logprobs(Unlearning, stream=stream, batch=batch) for batch in (1, 16))) < 1e-4


def test_every_distribution_sums_to_one():
    sums = []

    class Look(Honest):
        capabilities = Capabilities(stage=Stage.PROBS)

        @hookimpl
        def mix(self, logprobs, query):
            sums.append(logprobs[query.valid].double().exp().sum(-1))
            return logprobs

    class Raw(Ngram):
        @hookimpl
        def mix(self, logprobs, query):
            mixed = super().mix(logprobs, query)
            sums.append(mixed[query.valid].double().exp().sum(-1))
            return mixed

    logprobs(Raw, Look, stream=repeated_document())
    assert (torch.cat(sums) - 1.0).abs().max() < 1e-6


@pytest.mark.parametrize("cache", CACHES)
def test_a_killed_run_continues_to_the_same_ledger(cache, tmp_path, monkeypatch):
    stream = stream_of([2, 3, 4, 5] * 20, [3, 4, 5, 6, 7] * 9)
    whole, resumed = interrupted_and_resumed(tmp_path, monkeypatch, cache, after=3, stream=stream)
    assert resumed.digest == whole.digest


def test_a_document_is_forgotten_by_the_document_cache_only():
    document = random_stream((40,)).tokens[1:].tolist()
    stream = stream_of(document, document)
    second = slice(len(document) + 1, None)
    assert logprobs(Ngram, stream=stream)[second].mean() > logprobs(NgramDocument, stream=stream)[second].mean() + 1.0


def test_memory_is_bounded():
    held = []

    class Watched(Ngram):
        @hookimpl
        def observe(self, scored):
            super().observe(scored)
            held.append(len(self._counts))

    nats(Watched, stream=random_stream((300,)), options={"max_entries": 100})
    assert max(held) <= 100


def test_a_context_that_was_always_followed_by_one_token_is_trusted_more():
    law = PowerLaw(10.0, 0.0, 1.0)
    seen, variety = np.array([18, 18]), np.array([1, 2])
    strengths = law.strength(seen, variety)
    assert strengths[1] == 2 * strengths[0]

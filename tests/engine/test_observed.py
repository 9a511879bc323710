import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.errors import PluginError
from tests.engine.runs import engine
from tests.strategies import Honest, StreamUnigram, WindowBias
from tests.tiny import BOS, random_stream, stream_of


def test_every_target_is_observed_once_in_order_after_it_was_charged():
    seen = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            seen.append(scored)

    stream = random_stream()
    outcome = engine(Listen, stream=stream).run()
    positions = torch.cat([one.positions for one in seen])
    assert positions.tolist() == list(range(1, stream.targets + 1))
    assert torch.cat([one.targets for one in seen]).tolist() == stream.tokens[1:].tolist()
    assert torch.cat([one.tokens for one in seen]).tolist() == stream.tokens[:-1].tolist()
    assert torch.cat([one.documents for one in seen]).tolist() == stream.documents[:-1].tolist()
    assert outcome.nats == pytest.approx(-float(torch.cat([one.logprobs for one in seen]).sum()))
    assert outcome.document_nats.sum() == pytest.approx(outcome.nats)


def test_documents_are_announced_before_their_first_token_is_scored():
    calls = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="document")

        @hookimpl
        def reset(self, boundary):
            calls.append(("reset", boundary.document, boundary.position))

        @hookimpl
        def observe(self, scored):
            calls.append(("observe", int(scored.positions[0]), int(scored.positions[-1])))

    stream = stream_of([3, 4, 5], [6] * 20, [7])
    engine(Listen, stream=stream).run()
    assert [one for one in calls if one[0] == "reset"] == [("reset", 0, 0), ("reset", 1, 4), ("reset", 2, 25)]
    assert calls.index(("reset", 1, 4)) == calls.index(("observe", 1, 4)) + 1
    for kind, first, last in calls:
        if kind == "observe":
            assert BOS not in stream.tokens[first:last]


@pytest.mark.parametrize("mode", ["block", "step"])
@pytest.mark.parametrize("stage", [Stage.LOGITS, Stage.PROBS])
def test_what_was_expected_is_the_sum_of_the_distributions_a_strategy_was_handed(stage, mode):
    handed, told = [], []

    class Count(Honest):
        capabilities = Capabilities(stage=stage, scope="stream", reads=frozenset({"expected"}))

        def look(self, values, query):
            handed.append(values.softmax(-1)[query.valid].double().sum(dim=0))
            return values

        @hookimpl
        def observe(self, scored):
            told.append(scored.expected)
            assert float(scored.expected.sum()) == pytest.approx(len(scored.targets), rel=1e-5)

    class CountLogits(Count):
        @hookimpl
        def transform_logits(self, logits, query):
            return self.look(logits, query)

    class CountProbs(Count):
        @hookimpl
        def mix(self, logprobs, query):
            return self.look(logprobs, query)

    counting = CountLogits if stage == Stage.LOGITS else CountProbs
    engine(
        *((WindowBias, counting) if stage == Stage.LOGITS else (WindowBias, counting, StreamUnigram)), mode=mode
    ).run()
    assert len(told) > 2
    assert torch.allclose(sum(handed), sum(told), atol=1e-4)


def test_what_was_expected_is_known_at_the_stages_of_distributions_only():
    class Early(Honest):
        capabilities = Capabilities(stage=Stage.HIDDEN, reads=frozenset({"expected"}))

    with pytest.raises(PluginError, match="logits and probs only"):
        engine(Early)

import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.errors import UsageError
from tests.engine.runs import engine
from tests.strategies import Honest, PeekingSpy, SharedSpy, Spy
from tests.tiny import random_stream, tiny_model


@pytest.mark.parametrize("mode", ["block", "step"])
@pytest.mark.parametrize("spy", [Spy, SharedSpy])
def test_targets_outside_the_mask_are_not_in_the_tensor(spy, mode):
    stream = random_stream()
    engine(spy, stream=stream, mode=mode).run()
    tokens = torch.from_numpy(stream.tokens).long()
    assert spy.last.pasts
    for past in spy.last.pasts:
        assert (past.targets[~past.visible] == -100).all()
        assert (past.targets[past.visible] == tokens[past.positions[past.visible]]).all()
        assert not past.in_span.any()
        assert past.logits.shape[:2] == past.targets.shape


def test_the_past_of_shared_state_is_the_first_rows_and_ends_at_the_frontier():
    engine(SharedSpy).run()
    queries = [query for query in SharedSpy.last.queries if query.positions.shape[1] <= 16]
    frontiers = sorted({query.frontier for query in queries})
    assert len(frontiers) == len(SharedSpy.last.pasts)
    for past, frontier in zip(SharedSpy.last.pasts, frontiers, strict=True):
        assert past.targets.shape[0] == 1

        assert (past.positions < frontier).all()


def test_the_logits_of_the_past_predict_its_targets():
    stream, model = random_stream(), tiny_model()
    engine(Spy, stream=stream, model=model).run()
    tokens = torch.from_numpy(stream.tokens).long()
    past, query = Spy.last.pasts[-1], Spy.last.queries[-1]
    row = 0
    start = int(query._prefix_start)
    with torch.no_grad():
        logits = model.head(model.hidden(tokens[None, start : int(past.positions[row, -1])]))[0]
    visible = past.visible[row]
    assert torch.allclose(past.logits[row][visible], logits[-int(visible.sum()) :], atol=1e-4)
    assert torch.allclose(model.head(past.hidden)[row][visible], past.logits[row][visible], atol=1e-5)


def test_a_query_knows_the_tokens_before_each_target_and_none_after():
    stream = random_stream()
    engine(Spy, stream=stream).run()
    tokens = torch.from_numpy(stream.tokens).long()
    for query in Spy.last.queries:
        assert query.since_frontier().tolist() == tokens[query.frontier : int(query.positions.max())].tolist()
        before = query.preceding(6)
        for row, column in query.valid.nonzero().tolist():
            target = int(query.positions[row, column])
            first = max(target - 6, query._prefix_start)
            assert before[row, column].tolist()[-(target - first) :] == tokens[first:target].tolist()
        assert query._prefix_start + len(query._prefix) <= int(query.positions.max())


def test_a_peeking_strategy_is_shown_its_span_and_the_step_mode_refuses_it():
    stream = random_stream()
    engine(PeekingSpy, stream=stream, allow_noncausal=True).run()
    shown = torch.cat([past.positions[past.in_span & past.visible] for past in PeekingSpy.last.pasts])
    assert shown.tolist() == list(range(1, stream.targets + 1))
    past = PeekingSpy.last.pasts[-1]
    assert torch.allclose(tiny_model().head(past.hidden)[past.visible], past.logits[past.visible], atol=1e-4)
    with pytest.raises(UsageError, match="step mode"):
        engine(PeekingSpy, stream=stream, allow_noncausal=True, mode="step")


def test_what_is_handed_out_are_copies():
    class Vandal(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"logits"}))

        @hookimpl
        def adapt(self, past):
            past.tokens.fill_(3)
            past.targets.fill_(3)
            past.positions.fill_(3)
            past.logits.fill_(0)

        @hookimpl
        def transform_logits(self, logits, query):
            same = logits.clone()
            query.positions.fill_(2)
            query.preceding(3).fill_(0)
            logits.fill_(0)
            return same

    class Late(Vandal):
        @hookimpl
        def observe(self, scored):
            scored.targets.fill_(0)
            scored.logprobs.fill_(0)

    assert engine(Vandal, Late).run().digest == engine().run().digest

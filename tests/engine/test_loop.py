import numpy as np
import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine.loop import Settings
from evaladapt.engine.weights import digest
from evaladapt.errors import ContractViolation, DataError, PluginError, UsageError
from evaladapt.judge.inline import InlineRun
from evaladapt.testing.compositions import composition_of
from tests.strategies import EVERY_KIND, WINDOW_SCOPE, DocumentUnigram, Honest, StreamUnigram, Train, WindowBias
from tests.tiny import BOS, random_stream, stream_of, tiny_model

SLIDING = {"sliding": {"stride": 4}}


def engine(*classes, stream=None, model=None, options=None, allow_noncausal=False, **settings):
    composition = composition_of(*classes, options={**SLIDING, **(options or {})}, allow_noncausal=allow_noncausal)
    return InlineRun(model or tiny_model(), stream or random_stream(), composition, Settings(**{"batch": 4, **settings}))


def logprobs(*classes, **arguments):
    """What was charged for every target."""
    charged = []

    class Listen(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def observe(self, scored):
            charged.append(scored.logprobs.numpy())

    engine(*classes, Listen, **arguments).run()
    return np.concatenate(charged)


def test_the_plan_alone_scores_what_a_plain_loop_over_windows_scores():
    model, stream = tiny_model(), random_stream()
    tokens = torch.from_numpy(stream.tokens).long()
    expected = []
    with torch.no_grad():
        for target in range(1, stream.targets + 1):
            start = 0 if target <= 16 else (target - 17) // 4 * 4 + 4
            logits = model.head(model.hidden(tokens[None, start:target]))[0, -1]
            expected.append(float(torch.log_softmax(logits, dim=-1)[tokens[target]]))
    assert np.allclose(logprobs(model=model, stream=stream), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [(one,) for one in (*EVERY_KIND, DocumentUnigram)] + [EVERY_KIND])
def test_step_mode_and_block_mode_charge_the_same(classes):
    block, step = logprobs(*classes), logprobs(*classes, mode="step")
    assert np.abs(block - step).max() < 1e-4


@pytest.mark.parametrize("classes", [(one,) for one in WINDOW_SCOPE] + [WINDOW_SCOPE])
def test_rows_do_not_depend_on_their_batch(classes):
    assert np.abs(logprobs(*classes, batch=1) - logprobs(*classes, batch=32)).max() < 1e-4


def test_every_strategy_of_these_tests_changes_the_score():
    plain = logprobs()
    for one in (*EVERY_KIND, DocumentUnigram):
        assert np.abs(logprobs(one) - plain).max() > 1e-3, one.__name__


def test_two_runs_have_one_ledger_hash():
    assert engine(*EVERY_KIND).run().digest == engine(*EVERY_KIND).run().digest


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


class Spy(Honest):
    """Keeps every past and query it is handed."""

    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"logits", "hidden"}))

    def __init__(self, options):
        self.pasts, self.queries = [], []
        Spy.last = self

    @hookimpl
    def adapt(self, past):
        self.pasts.append(past)

    @hookimpl
    def transform_logits(self, logits, query):
        self.queries.append(query)
        return logits


class SharedSpy(Spy):
    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream", reads=frozenset({"logits"}))


class PeekingSpy(Spy):
    capabilities = Capabilities(stage=Stage.LOGITS, peeks=True, reads=frozenset({"logits", "hidden"}))


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


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda x: x * float("nan"), "transform_logits returned nan"),
        (lambda x: x - float("inf"), "returned -inf"),
        (lambda x: x[..., :-1], "where"),
        (lambda x: x.double(), "float64"),
        (lambda x: x.tolist(), "returned list instead of a tensor"),
        (lambda x: None, "returned NoneType"),
    ],
)
def test_what_is_no_distribution_breaks_c2(returned, said):
    class Odd(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS)

        @hookimpl
        def transform_logits(self, logits):
            return returned(logits)

    with pytest.raises(ContractViolation, match="'odd' breaks C2") as caught:
        engine(Odd).run()
    assert said in str(caught.value)
    assert caught.value.clause == "C2"


def test_a_mixture_that_does_not_sum_to_one_breaks_c2():
    class Loud(Honest):
        capabilities = Capabilities(stage=Stage.PROBS)

        @hookimpl
        def mix(self, logprobs):
            return logprobs + 0.01

    with pytest.raises(ContractViolation, match="sum is off"):
        engine(Loud).run()


def test_slack_within_the_tolerance_is_worth_nothing():
    class Sly(Honest):
        capabilities = Capabilities(stage=Stage.PROBS)

        @hookimpl
        def mix(self, logprobs):
            return logprobs + 5e-5

    assert engine(Sly).run().nats == pytest.approx(engine().run().nats, abs=1e-4)


def test_a_strategy_that_raises_is_named_with_the_hook_and_the_line():
    class Clumsy(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS)

        @hookimpl
        def transform_logits(self, logits):
            return logits[7:][99]

    with pytest.raises(PluginError, match="strategy 'clumsy' raised IndexError in transform_logits: ") as caught:
        engine(Clumsy).run()
    line = Clumsy.transform_logits.__code__.co_firstlineno + 2
    assert f"At {__file__}, line {line}: return logits[7:][99]." in str(caught.value)
    assert "EVALADAPT_TRACEBACK=1" in str(caught.value)


def test_weights_are_restored_after_training_and_after_a_failure():
    model = tiny_model()
    before = digest(dict(model.named_parameters()))
    engine(Train, model=model).run()
    assert digest(dict(model.named_parameters())) == before

    class Fails(Train):
        @hookimpl
        def observe(self, scored, host):
            next(iter(host.parameters().values())).add_(1.0)
            raise ValueError("late")

    with pytest.raises(PluginError):
        engine(Fails, model=model).run()
    assert digest(dict(model.named_parameters())) == before


def test_weights_touched_by_a_strategy_that_may_not_are_found():
    model = tiny_model()

    class Burglar(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")

        @hookimpl
        def observe(self, scored):
            model.embedding.add_(0.01)

    with pytest.raises(ContractViolation, match="clause W"):
        engine(Burglar, model=model).run()


def test_only_those_who_declared_it_are_handed_the_weights():
    class Curious(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS)

        @hookimpl
        def begin(self, host):
            host.parameters()

    with pytest.raises(PluginError, match="AttributeError"):
        engine(Curious).run()


def test_the_trail_holds_the_frozen_model_and_what_every_strategy_left():
    trails, charges = [], []

    class Watch(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream", reads=frozenset({"trail"}))

        @hookimpl
        def mix(self, logprobs, query):
            trails.append(len(query.trail))
            assert torch.equal(query.trail[-1], logprobs)
            return logprobs

        @hookimpl
        def observe(self, scored):
            charges.append(scored.trail)

    outcome = engine(*EVERY_KIND, Watch).run()
    frozen = engine().run()
    assert set(trails) == {len(EVERY_KIND) + 1}
    charged = torch.cat(charges, dim=1)
    assert float(-charged[0].sum()) == pytest.approx(frozen.nats, abs=1e-3)
    trained = engine(Train).run()
    assert float(-charged[1].sum()) == pytest.approx(trained.nats, abs=1e-3)
    assert float(-charged[len(EVERY_KIND)].sum()) == pytest.approx(outcome.nats, abs=1e-3)


class StreamNothing(Honest):
    """Changes nothing, but adds an entry to the trail."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")


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


class Hedge(Honest):
    """Bayesian weights over the trail, updated after every target."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream", reads=frozenset({"trail"}))

    @hookimpl
    def begin(self):
        self.weights = None

    @hookimpl
    def mix(self, logprobs, query):
        if self.weights is None:
            self.weights = torch.zeros(len(query.trail), dtype=torch.float64)
        weights = torch.log_softmax(query.fold(lambda state, charges: state + charges, self.weights), dim=-1)
        return torch.logsumexp(torch.stack(query.trail, dim=-1).double() + weights.unsqueeze(-2), dim=-1).float()

    @hookimpl
    def observe(self, scored):
        self.weights = scored.trail.sum(dim=1) + (0.0 if self.weights is None else self.weights)


def test_a_bayesian_mixture_over_the_trail_costs_at_most_ln_k_more_than_its_best_entry():
    entries = [engine().run().nats, engine(Train).run().nats, engine(Train, WindowBias).run().nats]
    mixed = engine(Train, WindowBias, Hedge).run().nats
    assert mixed <= min(entries) + np.log(3) + 1e-3
    exact = -np.logaddexp.reduce([-nats - np.log(3) for nats in entries])
    assert mixed == pytest.approx(exact, abs=1e-2)


def test_a_strategy_cannot_spoil_the_trail_of_the_next():
    class Spoiler(Honest):
        capabilities = Hedge.capabilities

        @hookimpl
        def mix(self, logprobs, query):
            same = logprobs.clone()
            for one in (logprobs, *query.trail):
                one.fill_(0)
            return same

    spoiled, plain = (engine(WindowBias, one, Hedge).run().nats for one in (Spoiler, StreamNothing))
    assert spoiled == pytest.approx(plain, abs=1e-4)


def test_a_recursion_over_the_trail_is_the_same_in_both_modes_and_for_any_batch():
    block = logprobs(WindowBias, Hedge)
    assert np.abs(block - logprobs(WindowBias, Hedge, mode="step")).max() < 1e-4
    assert np.abs(block - logprobs(WindowBias, Hedge, batch=1)).max() < 1e-4


def test_a_stream_without_targets_is_refused():
    with pytest.raises(DataError, match="no targets"):
        engine(stream=stream_of([]))


def test_the_batch_size_is_checked():
    with pytest.raises(UsageError, match="at least one window"):
        engine(StreamUnigram, batch=0)

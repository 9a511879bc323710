"""What a strategy gets because it declared it: the same in block and step mode, and for nobody else."""

import numpy as np
import pytest
import torch

from evaladapt.contract import Capabilities, Stage, Vocabulary, hookimpl
from evaladapt.engine.loop import Settings
from evaladapt.errors import PluginError, UsageError
from evaladapt.judge.inline import InlineRun
from evaladapt.testing.compositions import composition_of
from tests.strategies import HiddenShift, Honest, StreamUnigram, Train, WindowBias
from tests.tiny import VOCABULARY, random_stream, stream_of, tiny_model

SLIDING = {"sliding": {"stride": 4}}


def run(*classes, stream=None, vocabulary=None, **settings):
    composition = composition_of(*classes, options=SLIDING)
    settings = Settings(**{"batch": 4, **settings})
    return InlineRun(tiny_model(), stream or random_stream(), composition, settings, vocabulary=vocabulary).run()


class Listener(Honest):
    """Keeps what it is handed, by target."""

    capabilities = Capabilities(
        stage=Stage.PROBS, scope="stream", reads=frozenset({"states", "distributions", "trail"})
    )

    def __init__(self, options):
        self.asked, self.handed, self.scored = {}, {}, []
        Listener.last = self

    @hookimpl
    def mix(self, logprobs, query):
        for row, column in query.valid.nonzero().tolist():
            self.asked[int(query.positions[row, column])] = query.hidden[row, column].clone()
            self.handed[int(query.positions[row, column])] = logprobs[row, column].clone()
        query.hidden.zero_()
        return logprobs

    @hookimpl
    def observe(self, scored):
        self.scored.append(scored)


def listened(*classes, listener=Listener, **settings):
    run(*classes, listener, **settings)
    return Listener.last


@pytest.mark.parametrize("mode", ["block", "step"])
def test_states_and_distributions_of_what_was_scored_are_those_that_were_handed_out(mode):
    heard = listened(Train, HiddenShift, WindowBias, StreamUnigram, mode=mode)
    for scored in heard.scored:
        positions = scored.positions.tolist()
        assert torch.equal(scored.hidden, torch.stack([heard.asked[one] for one in positions]))
        assert torch.equal(scored.distributions, torch.stack([heard.handed[one] for one in positions]))
    assert sum(len(one.positions) for one in heard.scored) == len(heard.asked)


def test_block_and_step_mode_hand_out_the_same_states():
    block, step = (listened(HiddenShift, WindowBias, mode=mode).asked for mode in ("block", "step"))
    assert block.keys() == step.keys()
    assert max(float((block[one] - step[one]).abs().max()) for one in block) < 1e-4


def test_no_more_than_the_focus_is_kept():
    class Last(Listener):
        focus = 3

    for scored in listened(WindowBias, listener=Last).scored:
        count = min(3, len(scored.positions))
        assert (len(scored.hidden), len(scored.distributions)) == (count, count)
        last = int(scored.positions[-1])
        assert torch.equal(scored.hidden[-1], Listener.last.asked[last])


def test_what_is_not_declared_is_not_there():
    seen = []

    class Plain(Honest):
        capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

        @hookimpl
        def begin(self, run):
            assert run.vocabulary is None

        @hookimpl
        def mix(self, logprobs, query):
            seen.append((query.hidden, query.trail))
            return logprobs

        @hookimpl
        def observe(self, scored):
            seen.append((scored.hidden, scored.distributions, scored.expected, scored.trail, scored.folded))

    run(Plain, vocabulary=Vocabulary((b"a",) * VOCABULARY))
    assert {one for one in seen if len(one) == 2} == {(None, ())}
    assert {one for one in seen if len(one) == 5} == {(None, None, None, None, ())}


def test_a_strategy_that_reads_states_at_stage_logits_sees_those_that_the_logits_are_made_from():
    heads = []

    class Look(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"states"}))

        @hookimpl
        def adapt(self, host):
            self.host = host

        @hookimpl
        def transform_logits(self, logits, query):
            heads.append(float((self.host.head(query.hidden) - logits)[query.valid].abs().max()))
            return logits

    run(HiddenShift, Look)
    assert max(heads) < 1e-5


def test_the_past_says_which_document_every_column_belongs_to():
    stream = random_stream((9, 30, 11))

    class Look(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS)

        @hookimpl
        def adapt(self, past):
            known = past.positions >= 0
            assert past.documents[known].tolist() == stream.documents[past.positions[known] - 1].tolist()
            assert bool((past.documents[~known] == -1).all())

    run(Look, stream=stream)


class Words(Honest):
    capabilities = Capabilities(stage=Stage.PROBS, scope="stream", reads=frozenset({"vocabulary"}))

    @hookimpl
    def begin(self, run):
        Words.seen = run.vocabulary


def test_the_bytes_of_tokens_are_told_when_the_run_begins():
    vocabulary = Vocabulary(tuple(bytes([65 + one]) for one in range(VOCABULARY)), frozenset({1}))
    run(Words, vocabulary=vocabulary)
    assert Words.seen is vocabulary


def test_without_them_a_strategy_that_needs_the_bytes_is_refused():
    with pytest.raises(UsageError, match="'words' works on the bytes of tokens"):
        run(Words)


def test_logits_of_the_host_have_a_graph_and_give_its_loss():
    class Compare(Train):
        @hookimpl
        def begin(self):
            self.steps = 0

        @hookimpl
        def observe(self, scored, host):
            leaves = {name: one.detach().requires_grad_() for name, one in host.parameters("mlp.*").items()}
            tokens, targets = scored.tokens[None], scored.targets[None]
            with torch.enable_grad():
                logits = host.logits(tokens, overrides=leaves)
                mine = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            assert torch.allclose(mine, host.loss(tokens, targets, overrides=leaves))
            assert all(bool(one.abs().max() > 0) for one in torch.autograd.grad(mine, list(leaves.values())))
            self.steps += 1

    run(Compare)


class Folds(Honest):
    """Two sums over the trail from different starts, and one of what was noted about the targets."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream", reads=frozenset({"trail"}))
    zero = torch.zeros(1, dtype=torch.float64)

    def __init__(self, options):
        self.before, self.scored = {}, []
        Folds.last = self

    @hookimpl
    def mix(self, logprobs, query):
        places = query.positions.unsqueeze(-1).double()
        low = query.fold(lambda state, charges: state + charges[:1], self.zero)
        high = query.fold(lambda state, charges: state - charges[:1], self.zero + 100)
        noted = query.fold(lambda state, charges, place: state + place * charges[:1], self.zero, places)
        for row, column in query.valid.nonzero().tolist():
            target = int(query.positions[row, column])
            self.before[target] = [float(one[row, column]) for one in (low, high, noted)]
        return logprobs

    @hookimpl
    def observe(self, scored):
        self.scored.append(scored)


@pytest.mark.parametrize("mode", ["block", "step"])
def test_every_fold_has_its_own_start_update_and_notes_and_comes_back_when_the_batch_is_scored(mode):
    run(WindowBias, Folds, mode=mode)
    for scored in Folds.last.scored:
        charges, places = scored.trail[0].numpy(), scored.positions.numpy()
        sums, weighed = np.cumsum(charges), np.cumsum(charges * places)
        for number, target in enumerate(places.tolist()):
            low, noted = (0.0, 0.0) if number == 0 else (sums[number - 1], weighed[number - 1])
            assert Folds.last.before[target] == pytest.approx([low, 100 - low, noted], abs=1e-6)
        assert [float(one) for one in scored.folded] == pytest.approx([sums[-1], 100 - sums[-1], weighed[-1]], abs=1e-6)


def test_a_fold_that_begins_elsewhere_in_the_same_batch_is_refused():
    class Restless(Folds):
        @hookimpl
        def mix(self, logprobs, query):
            self.zero = self.zero + 1
            query.fold(lambda state, charges: state + charges[:1], self.zero)
            return logprobs

    with pytest.raises(UsageError, match="fold number 1 of strategy 'restless' begins from another state"):
        run(Restless, mode="step")


def test_a_plan_has_nothing_to_read():
    class Reader(Honest):
        capabilities = Capabilities(stage=Stage.PLAN, reads=frozenset({"states"}))

        @hookimpl
        def plan(self):
            return iter(())

    with pytest.raises(PluginError, match="nothing to read"):
        run(Reader, stream=stream_of([3]))

import pytest

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.errors import ContractViolation, PluginError
from tests.engine.runs import engine
from tests.strategies import Honest


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


def test_what_is_none_because_it_was_not_declared_is_told():
    class Forgetful(Honest):
        capabilities = Capabilities(stage=Stage.HIDDEN, reads=frozenset({"logits"}))

        @hookimpl
        def adapt(self, past):
            assert past.logits.shape[:2] == past.targets.shape
            past.hidden.mean()

    with pytest.raises(PluginError, match="'forgetful' raised AttributeError in adapt") as caught:
        engine(Forgetful).run()
    assert "past.hidden is None: its capabilities do not declare it in reads." in str(caught.value)

import pytest
import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.engine.hooks.weights import digest
from evaladapt.errors import ContractViolation, PluginError
from tests.engine.runs import engine
from tests.strategies import Honest, Train
from tests.tiny import tiny_model


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


def test_what_is_kept_when_the_text_ends_is_told_in_bytes():
    class Remembers(Honest):
        capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")

        @hookimpl
        def state(self):
            return {"table": torch.zeros(5, dtype=torch.float64), "keys": b"abc", "count": 7}

        @hookimpl
        def restore(self, state): ...

    class CannotSay(Remembers):
        @hookimpl
        def state(self):
            return {"table": [1, 2]}

    model = tiny_model()
    told = engine(Train, Remembers, CannotSay, model=model).run().closing.scalars["state_bytes"]
    written = sum(one.numel() * 4 for one in model.parameters())
    assert told["remembers"] == 5 * 8 + 3 + 8
    assert "cannotsay" not in told
    assert 0 < told["weights"] <= written
    assert "state_bytes" not in engine().run().closing.scalars

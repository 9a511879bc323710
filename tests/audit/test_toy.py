import pytest
import torch

from evaladapt.audit.probes import BY_NAME
from evaladapt.audit.toy import BOS, ToyModel, toy_stream
from evaladapt.audit.toy_subject import toy_subject
from evaladapt.contract.registry import load
from evaladapt.model.backend import Backend
from tests.zoo.subjects import toy_bench


def test_the_toy_is_a_backend_and_causal():
    model = ToyModel(5)
    assert isinstance(model, Backend)
    tokens = torch.tensor([[1, 2, 3, 4]])
    other = torch.tensor([[1, 2, 4, 0]])
    assert torch.equal(model.hidden(tokens)[:, :2], model.hidden(other)[:, :2])
    assert not torch.allclose(model(tokens)[:, 2], model(other)[:, 2])
    assert torch.equal(model(tokens), model.head(model.hidden(tokens)))


def test_a_model_that_looks_ahead_is_convicted():
    class LooksAhead(ToyModel):
        def hidden(self, tokens):
            return super().hidden(tokens) + 1e-3 * self.embedding[tokens].sum(dim=1, keepdim=True)

    class MixesRows(ToyModel):
        def hidden(self, tokens):
            return super().hidden(tokens) + 1e-3 * self.embedding[tokens].sum(dim=0, keepdim=True)

    for cls, outcome in ((ToyModel, "pass"), (LooksAhead, "fail"), (MixesRows, "fail")):
        bench = toy_bench()
        object.__setattr__(bench.subject, "model", cls(8, context=8))
        assert BY_NAME["MODEL"].run(bench).outcome == outcome


def test_the_toy_text_has_its_documents_and_no_bos_inside():
    stream = toy_stream((3, 1, 2))
    assert stream.n_documents == 3
    assert (stream.tokens == BOS).sum() == 3
    assert stream.targets == 8


def test_the_plan_s_options_stay_with_the_artifact_and_overrides_win():
    subject = toy_subject([load("ttt")], {"sliding": {"stride": "64"}, "ttt": {"chunk": "2048", "epochs": "2"}},
                          overrides={"ttt": {"chunk": "16"}}, lengths=(20,))  # fmt: skip
    plan, ttt = subject.composition.members
    assert plan.options.stride is None
    assert (ttt.options.chunk, ttt.options.epochs) == (16, 2)


@pytest.mark.parametrize("seed", range(3))
def test_the_long_toy_text_goes_past_target_5_000(seed):
    assert toy_subject([], {}, seed=seed).stream.targets > 5_000

"""Modules of the user's own: what a function returns is opened, what it lacks is told, what cannot run is refused."""

import pytest
import torch
from torch import nn

from evaladapt.contract.capabilities import Capabilities, Stage
from evaladapt.engine.hooks.host import host_for
from evaladapt.errors import ModelError, UsageError
from evaladapt.model.families import find_family, open_model, open_tokenizer, placed, tokenizer_is_ours
from evaladapt.model.wrapped import wrap
from evaladapt.system.processes import ALONE
from evaladapt.testing import check_model

CPU = torch.device("cpu")


class Recurrent(nn.Module):
    """Somebody's byte-level model: a GRU."""

    def __init__(self, vocabulary=257, width=16):
        super().__init__()
        torch.manual_seed(0)
        self.embed_in = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList([nn.ModuleDict({"mlp_up": nn.GRU(width, width, batch_first=True)})])
        self.lm_head = nn.Linear(width, vocabulary)

    def trunk(self, tokens):
        return self.layers[0]["mlp_up"](self.embed_in(tokens))[0]

    def forward(self, tokens):
        return 5 * torch.tanh(self.lm_head(self.trunk(tokens)))


CODE = """
import torch
from evaladapt.model.wrapped import wrap
from tests.families.test_python import Recurrent

def shown(device):
    module = Recurrent()
    return wrap(module, context=32, hidden=module.trunk, head=lambda h: 5 * torch.tanh(module.lm_head(h))), "bytes"

def closed():
    return wrap(Recurrent(), context=32), "bytes", ["weights.bin"]

def bare():
    return Recurrent(), "bytes"

def fails():
    raise KeyError("weights")

def alone():
    return Recurrent()
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "weights.bin").write_bytes(b"weights")
    return tmp_path / "mine.py"


def test_a_wrapped_module_can_be_relied_on(file):
    opened = open_model(f"python:{file}:shown", CPU)
    checked = check_model(opened.backend, opened.tokenizer)
    assert [one.split(",")[0] for one in checked.lacks if "cache" not in one] == ["matrices without a role"]
    assert opened.backend.hidden_size == 16
    assert not opened.backend.states_are_logits
    assert [one.path for one in opened.files] == [str(file)]


def test_a_module_that_shows_no_states_runs_without_them(file):
    opened = open_model(f"python:{file}:closed", CPU)
    assert opened.backend.states_are_logits
    assert opened.backend.hidden_size == opened.backend.vocab_size == 257
    check_model(opened.backend, opened.tokenizer)
    assert {one.path.rsplit("/", 1)[1] for one in opened.files} == {"mine.py", "weights.bin"}
    for capabilities in (
        Capabilities(stage=Stage.HIDDEN),
        Capabilities(stage=Stage.PROBS, reads=frozenset(["hidden"])),
    ):
        with pytest.raises(UsageError, match="does not show its hidden states"):
            host_for(capabilities, opened.backend, ALONE)
    host_for(Capabilities(stage=Stage.LOGITS), opened.backend, ALONE)
    host_for(Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream"), opened.backend, ALONE)


def test_it_is_placed_with_what_stands_beside_it(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    place = placed("python:mine.py:closed")
    assert (place.where, place.reads) == (f"python:{file.resolve()}:closed", (file.parent.resolve(),))
    assert placed("python:json:loads").reads == ()


def test_its_code_is_never_run_where_the_text_is(file):
    assert not tokenizer_is_ours(f"python:{file}:shown")
    with pytest.raises(ModelError, match="beside its model"):
        open_tokenizer(f"python:{file}:shown")
    with pytest.raises(ModelError, match="no model family takes it"):
        find_family(str(file))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("bare", "a Recurrent, which is no backend. Make it one"),
        ("fails", "failed with KeyError: 'weights'"),
        ("alone", "returns Recurrent; return a model and its tokenizer"),
        ("absent", "has no function 'absent'"),
    ],
)
def test_a_function_that_cannot_be_used_is_told_why(file, function, message):
    with pytest.raises(ModelError, match=message):
        open_model(f"python:{file}:{function}", CPU)


def test_a_module_that_cannot_be_imported_is_told(tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    with pytest.raises(ModelError, match="failed with ModuleNotFoundError"):
        open_model(f"python:{tmp_path}/broken.py:load", CPU)
    with pytest.raises(ModelError, match="there is no such file"):
        open_model(f"python:{tmp_path}/absent.py:load", CPU)
    with pytest.raises(ModelError, match=r"a file may be named as FILE\.py"):
        open_model("python:nothing_of_that_name:load", CPU)
    with pytest.raises(ModelError, match="names no function"):
        open_model("python:file", CPU)


def test_a_head_that_leaves_something_out_is_refused():
    module = Recurrent()
    with pytest.raises(ModelError, match="not what the module says"):
        wrap(module, context=32, hidden=module.trunk, head=module.lm_head)
    with pytest.raises(ModelError, match="go together"):
        wrap(module, context=32, head=module.lm_head)
    with pytest.raises(ModelError, match="context is 0"):
        wrap(module, context=0)
    with pytest.raises(ModelError, match=r"gives \[1, 8\] for tokens"):
        wrap(nn.Identity(), context=8)

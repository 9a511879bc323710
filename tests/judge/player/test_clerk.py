"""A stranger's tokenizer in a sealed process: what comes of it is a run like any other, or a refusal."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaladapt.data.building import stream_from_documents
from evaladapt.errors import DataError, EvaladaptError, PluginError
from evaladapt.judge.evaluate import evaluate, tokenizer_of
from evaladapt.judge.player.clerk import _checked
from evaladapt.judge.records.record import CAUSAL
from evaladapt.judge.request import Composed, Request

CODE = """
import os
import torch
from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.model.wrapped import wrap

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(257, 8)
        self.lm_head = torch.nn.Linear(8, 257)
    def forward(self, tokens):
        return self.lm_head(self.embedding(tokens))

class Lossy(RawBytes):
    def encode(self, text):
        return super().encode(text.lower())

class Special(RawBytes):
    def encode(self, text):
        return super().encode(text) * 0 + 256

class Reading(RawBytes):
    def encode(self, text):
        if text.startswith("open"):
            open("/etc/hostname").read()
        return super().encode(text)

def honest(): return model(), RawBytes()
def lossy(): return model(), Lossy()
def special(): return model(), Special()
def reading(): return model(), Reading()

def model():
    torch.manual_seed(0)
    module = Model()
    return wrap(module, context=16, hidden=module.embedding, head=module.lm_head)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("clerk") / "mine.py"
    path.write_text(CODE)
    return path


def test_a_model_with_a_tokenizer_of_its_own_is_scored_sealed(file):
    documents = ["A text, and", "another: é."]
    request = Request(model=f"python:{file}:honest", composed=Composed(names=("bias",)), threads=1, with_base=False,
                      open_text=lambda tokenizer: stream_from_documents(documents, tokenizer, "two"))  # fmt: skip
    record = evaluate(request, draw=np.random.default_rng(0))
    assert record.verdict == CAUSAL
    assert record.data.bytes == sum(len(one.encode()) for one in documents)


@pytest.mark.parametrize("function", ["lossy", "special"])
def test_tokens_that_are_not_the_text_are_refused(file, function):
    tokenizer = tokenizer_of(f"python:{file}:{function}")
    with pytest.raises(DataError, match="does not keep the text"):
        tokenizer.encode("A Text")


def test_it_is_sealed_before_a_text_and_ends_with_its_object(file):
    tokenizer = tokenizer_of(f"python:{file}:reading")
    process = Path(f"/proc/{tokenizer._player.child.pid}")
    assert tokenizer.decode(tokenizer.encode("a text")) == "a text"
    assert (process / "stat").read_text().rpartition(")")[2].split()[0] == "T"  # it knows a text, so it stands still
    with pytest.raises(EvaladaptError, match=r"Permission|not permitted|denied"):
        tokenizer.encode("open")
    del tokenizer
    assert not process.exists()


SAID = {
    "bos_id": 1,
    "sha256": "0",
    "special_ids": [1],
    "drops_leading_space": False,
    "drops_leading_spaces": False,
    "piece_bytes": ["61", ""],
}


def test_what_it_says_is_checked():
    assert _checked(json.dumps(SAID).encode())["bos_id"] == 1
    for change in (
        {"bos_id": 2},
        {"piece_bytes": ["61", "6"]},
        {"piece_bytes": []},
        {"piece_bytes": ["61", "62"]},
        {"special_ids": [5]},
        {"special_ids": ["1"]},
        {"sha256": 3},
    ):
        with pytest.raises(PluginError, match="talks nonsense"):
            _checked(json.dumps(SAID | change).encode())

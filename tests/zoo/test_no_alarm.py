"""No alarm in sealed players: honest compositions are CAUSAL, on odd texts and with odd options too.

EVALADAPT_SEEDS=20 plays every strategy and every valid pair over twenty seeds, thousands of runs, and every odd
composition and every odd text at length; without it a few of each are played once.
"""

import json
import os

import pytest

from evaladapt.data.load import load_stream
from evaladapt.engine.loop import Settings
from evaladapt.judge.evaluate import evaluate
from evaladapt.judge.records.record import CAUSAL, UNCHECKED
from evaladapt.judge.request import Composed, Request
from tests.plugins.test_pairs import adaptive, valid_pairs
from tests.zoo.installed import ROOT

SEEDS = int(os.environ.get("EVALADAPT_SEEDS", "0"))
SHORT = 160
LONG = 4_000 if SEEDS else SHORT
"""Targets: a look plays its group of batches again up to its target, which a slow strategy makes long."""
EARLY = {"ttt": {"chunk": 40}, "ttt-document": {"chunk": 40}, "lora-ttt": {"chunk": 40}}
"""Options by which a strategy acts on a short text."""
PLAIN = {"sliding": {"stride": 4}}
ILL = {"prior": "gaussian", "strength": 1e-6, "focal": 1, "clamp": None, "solver": "lbfgs"}

ODD_COMPOSITIONS = {
    "one row a batch": (("ttt", "slot-lbfgs"), {}, {"batch": 1}),
    "64 rows a batch": (("ttt", "slot-lbfgs"), {}, {"batch": 64}),
    "a target a window": (("slot-lbfgs",), {"sliding": {"stride": 1}}, {}),
    "windows that do not overlap": (("ngram", "hedge"), {"sliding": {"stride": 16}}, {}),
    "two tokens a window": (("bias",), {"sliding": {"stride": 1, "context": 2}}, {}),
    "documents apart": (("ttt-document", "ngram-document"), {"sliding": {"stride": 4, "documents": "independent"}}, {}),
    "a solver that is ill-conditioned": (("slot-lbfgs",), {"slot-lbfgs": ILL}, {}),
    "the same, and 64 rows": (("slot-lbfgs",), {"slot-lbfgs": ILL}, {"batch": 64}),
    "a strong learning rate": (("ttt",), {"ttt": {"chunk": 16, "lr": 0.5}}, {}),
    "rows that read on": (("stream", "ttt", "hedge"), {"stream": {"stride": 4}}, {}),
    "a stage each": (("lora-ttt", "slot-hidden", "bias", "tilt", "ngram", "hedge"), {}, {}),
}
ODD_TEXTS = {
    "one token": ["a"],
    "one token repeated": ["a" * 3_000],
    "one-letter documents": ["a", "b", "c"] * 60,
    "one huge document": ["The mask is the engine's. " * 400],
    "tiny documents": [f"{number}." for number in range(400)],
    "empty documents between": ["", "word", "", "", "another word", ""],
    "signs that the tokenizer never saw": ["数🙂" * 40, "ÿ" * 99],
    "line breaks": ["\n" * 500],
    "spaces": [" " * 500, "  x  " * 40],
    "two documents, the second longer": ["short", "long " * 600],
}
FEW = {"a solver that is ill-conditioned", "64 rows a batch", "rows that read on", "one token", "tiny documents"}


def chosen(cases):
    return [name for name in cases if SEEDS or name in FEW]


def played(artifact, path, names, options=None, *, longest=SHORT, seed=0, inline=False, **settings):
    plain = {} if "stream" in names else PLAIN
    options = {**plain, **{name: EARLY[name] for name in names if name in EARLY}, **(options or {})}
    return evaluate(
        Request(
            model=str(artifact),
            composed=Composed(names=names, options=options),
            open_text=lambda tokenizer: _beginning(load_stream([path], tokenizer), longest),
            settings=Settings(**{"batch": 8, "seed": seed, **settings}),
            inline=inline,
        )
    )


def _beginning(stream, longest):
    return stream.limit(longest) if stream.targets > longest else stream


def refuse_alarm(record):
    failed = [f"{one.clause}: {one.evidence}" for one in record.clauses if one.outcome == "fail"]
    assert record.verdict == CAUSAL, (failed, record.checked.unchecked_because)
    assert record.checked.looks
    assert record.checked.failed_looks == 0


@pytest.mark.parametrize("name", chosen(ODD_COMPOSITIONS))
def test_an_odd_composition_raises_no_alarm(tiny_artifact, text_file, name):
    names, options, settings = ODD_COMPOSITIONS[name]
    refuse_alarm(played(tiny_artifact, text_file, names, options, longest=LONG, **settings))


@pytest.mark.parametrize("name", chosen(ODD_TEXTS))
def test_an_odd_text_raises_no_alarm(tiny_artifact, tmp_path, name):
    path = tmp_path / "text.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ODD_TEXTS[name]))
    refuse_alarm(played(tiny_artifact, path, ("ttt", "slot-lbfgs", "ngram"), longest=LONG))


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("alias", [one.alias for one in adaptive()] if SEEDS else [])
def test_a_built_in_strategy_raises_no_alarm(tiny_artifact, text_file, alias, seed):
    refuse_alarm(played(tiny_artifact, text_file, (alias,), seed=seed))


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("pair", valid_pairs() if SEEDS else [], ids=",".join)
def test_a_pair_raises_no_alarm(tiny_artifact, text_file, pair, seed):
    refuse_alarm(played(tiny_artifact, text_file, pair, seed=seed))


def test_state_in_a_closure_scores_the_same_as_inline(tiny_artifact, text_file, tmp_path, monkeypatch):
    info = tmp_path / "closure-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: closure\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[evaladapt.strategies]\nclosure = tests.zoo.closure:Closure\n")
    for place in (ROOT, tmp_path):
        monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    sealed = played(tiny_artifact, text_file, ("closure",))
    inline = played(tiny_artifact, text_file, ("closure",), inline=True)
    refuse_alarm(sealed)
    assert inline.verdict == UNCHECKED
    assert sealed.adapted.ledger_sha256 == inline.adapted.ledger_sha256
    assert sealed.difference.bpb != 0

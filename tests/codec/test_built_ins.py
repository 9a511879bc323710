"""Every causal strategy that ships, and compositions of them, as compressors of files of every kind."""

import pytest
from evaladapt.codec.threads import threads

from evaladapt.bench.codec import BEST
from evaladapt.codec.decode import decode
from evaladapt.codec.encode import encode
from evaladapt.codec.text import text_from_bytes
from evaladapt.contract.composition import compose
from evaladapt.contract.registry import installed, load
from evaladapt.engine import loop
from evaladapt.system.threads import threads
from tests.codec.contents import CONTENTS
from tests.codec.files import WORDS, KilledError, killer

EAGER = {
    "sliding": {"stride": 4},
    "ttt": {"chunk": 4},
    "ttt-document": {"chunk": 8},
    "lora-ttt": {"chunk": 8},
}
"""Options under which a strategy acts on a text of a few dozen tokens."""


def causal_built_ins():
    types = [load(one.alias) for one in installed() if one.distribution == "evaladapt"]
    return [one for one in types if not one.capabilities.peeks]


def all_stages():
    by_stage = {one.capabilities.stage: one.alias for one in causal_built_ins()}
    return tuple(by_stage[stage] for stage in sorted(by_stage))


COMPOSITIONS = [*((one.alias,) for one in causal_built_ins()), BEST, ("bias", "ngram", "hedge"), all_stages()]
every_composition = pytest.mark.parametrize("names", COMPOSITIONS, ids=",".join)


def eager(names):
    return compose(names, {alias: given for alias, given in EAGER.items() if alias in {*names, "sliding"}})


def encoded(frozen, content, path, composition, **settings):
    return encode(frozen, text_from_bytes(content, frozen.tokenizer, "text"), composition, path, batch=3, **settings)


@every_composition
def test_a_file_of_any_kind_comes_back(frozen, tmp_path, names):
    composition = eager(names)
    for content in CONTENTS.values():
        encoded(frozen, content, tmp_path / "x.evz", composition)
        decode(frozen, tmp_path / "x.evz", tmp_path / "x.out", compose_by=lambda names, options: composition)
        assert (tmp_path / "x.out").read_bytes() == content


@every_composition
def test_both_sides_may_be_killed_and_resumed(frozen, tmp_path, names, monkeypatch):
    monkeypatch.setattr(loop, "SNAPSHOT_SECONDS", 0.0)
    content, path, out, composition = WORDS[:40], tmp_path / "x.evz", tmp_path / "x.out", eager(names)
    whole = encoded(frozen, content, tmp_path / "whole.evz", composition)
    half = whole.outcome.batches // 2
    with pytest.raises(KilledError):
        encoded(frozen, content, path, composition, progress=killer(half))
    assert (tmp_path / "x.evz.checkpoint.snapshot").exists()
    encoded(frozen, content, path, composition, resume=True)
    assert path.read_bytes() == (tmp_path / "whole.evz").read_bytes()
    with pytest.raises(KilledError):
        decode(frozen, path, out, progress=killer(half))
    assert not out.exists()
    decode(frozen, path, out, resume=True)
    assert out.read_bytes() == content


@pytest.mark.parametrize("count", [1, 2])
def test_the_number_of_threads_travels_with_the_file(frozen, tmp_path, count):
    with threads(count):
        encoded(frozen, WORDS[:8], tmp_path / "x.evz", eager(BEST))
    with threads(3 - count):
        decode(frozen, tmp_path / "x.evz", tmp_path / "x.out")
    assert (tmp_path / "x.out").read_bytes() == WORDS[:8]

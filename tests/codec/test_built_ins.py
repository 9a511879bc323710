"""Every causal strategy that ships, and compositions of them, as compressors of files of every kind."""

import pytest

from evaladapt.bench.codec import BEST
from evaladapt.contract.composition import compose
from evaladapt.contract.registry import installed, load
from evaladapt.judge import charging
from tests.codec.contents import CONTENTS
from tests.codec.files import WORDS, Count, KilledError, decode_by, encode_by, killer

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
    taking_part = {*names} if "stream" in names else {*names, "sliding"}
    return compose(names, {alias: given for alias, given in EAGER.items() if alias in taking_part})


@every_composition
def test_a_file_of_any_kind_comes_back(opened, tmp_path, names):
    composition = eager(names)
    for content in CONTENTS.values():
        encode_by(opened, content, tmp_path / "x.evz", composition)
        decode_by(opened, tmp_path / "x.evz", tmp_path / "x.out", lambda names, options: composition)
        assert (tmp_path / "x.out").read_bytes() == content


@every_composition
def test_both_sides_may_be_killed_and_resumed(opened, tmp_path, names, monkeypatch):
    monkeypatch.setattr(charging, "SNAPSHOT_SECONDS", 0.0)
    content, path, out, composition = WORDS[:40], tmp_path / "x.evz", tmp_path / "x.out", eager(names)
    count = Count()
    encode_by(opened, content, tmp_path / "whole.evz", composition, progress=count)
    half = count.batches // 2
    with pytest.raises(KilledError):
        encode_by(opened, content, path, composition, progress=killer(half + 1))
    keeps_its_place = "stream" not in names  # keys and values are not kept: it starts over
    assert (tmp_path / "x.evz.checkpoint.snapshot").exists() == keeps_its_place
    encode_by(opened, content, path, composition, resume=True)
    assert path.read_bytes() == (tmp_path / "whole.evz").read_bytes()
    with pytest.raises(KilledError):
        decode_by(opened, path, out, progress=killer(half + 1))
    assert not out.exists()
    decode_by(opened, path, out, resume=True)
    assert out.read_bytes() == content

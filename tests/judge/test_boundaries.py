"""How it is paid for that a document begins: told and coded, or charged like any token and known to nobody before."""

import numpy as np
import pytest

from evaladapt.contract import Capabilities, Stage, hookimpl
from evaladapt.data.boundaries import pack_boundaries
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.testing.compositions import composition_of
from tests.strategies import EVERY_KIND, DocumentUnigram, Honest
from tests.tiny import BOS, random_stream, stream_of, tiny_model

STREAM = stream_of([3, 4, 5], [6] * 20, [7], [8, 9] * 9)
STARTS = np.flatnonzero(STREAM.tokens == BOS)


def run(*classes, stream=STREAM, boundaries="paid", **settings):
    composition = composition_of(*classes, options={"sliding": {"stride": 4}})
    settings = Settings(**{"batch": 4, **settings})
    return InlineRun(tiny_model(), stream, composition, settings, boundaries=boundaries)


@pytest.mark.parametrize("classes", [(), EVERY_KIND])
def test_paid_and_charged_differ_by_the_bos_targets_and_the_coded_boundaries(classes):
    """Of strategies that do not mind documents: every other target costs the same, to the bit."""
    paid, charged = (run(*classes, boundaries=one).run() for one in ("paid", "charged"))
    bos = np.zeros(STREAM.targets + 1, dtype=bool)
    bos[STARTS] = True
    assert (paid.target_nats[bos] == 0).all()
    assert (charged.target_nats[bos][1:] > 0).all()
    assert np.array_equal(paid.target_nats[~bos], charged.target_nats[~bos])
    assert charged.boundary_bits == 0
    assert paid.boundary_bits == 8 * len(pack_boundaries(STARTS)) == 24
    assert paid.bits == pytest.approx(paid.nats / np.log(2) + 24)
    assert charged.nats - paid.nats == pytest.approx(charged.target_nats[bos].sum(), rel=1e-5)


def test_one_document_takes_no_boundary():
    outcome = run(stream=random_stream((40,))).run()
    assert outcome.boundary_bits == 0


class Listens(Honest):
    """Writes down what it is told of documents, in order."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="document")

    def __init__(self, options):
        Listens.last = self
        self.heard = []

    @hookimpl
    def begin(self, run):
        self.starts = tuple(run.stream.document_starts)

    @hookimpl
    def reset(self, boundary):
        self.heard.append(("reset", boundary.document, boundary.position))

    @hookimpl
    def observe(self, scored):
        self.heard.append(("observe", int(scored.positions[0]), int(scored.positions[-1])))


@pytest.mark.parametrize("mode", ["block", "step"])
def test_where_boundaries_are_charged_nobody_knows_one_before_it_is_scored(mode):
    run(Listens, boundaries="charged", mode=mode).run()
    heard = Listens.last.heard
    assert Listens.last.starts == (0,)
    for number, (kind, _, position) in enumerate(heard):
        if kind == "reset" and position:
            observed = [one for one in heard[:number] if one[0] == "observe"]
            first, last = observed[-1][1:]
            assert first <= position <= last, "reset comes with the first batch after the BOS"
            assert not [one for one in observed[:-1] if one[2] >= position]
    resets = [position for kind, _, position in heard if kind == "reset"]
    assert resets[0] == 0
    assert set(resets) <= set(STARTS.tolist())
    assert resets[-1] == STARTS[-1]


def test_batches_do_not_depend_on_boundaries_that_are_charged():
    """Texts that differ in nothing but where documents start are cut alike, and cost the same up to the first BOS."""
    other = stream_of([3, 4, 5, *[6] * 20, 7, 7, *[8, 9] * 9, 2, 2])
    assert other.targets >= STREAM.targets
    plans = [
        [
            batch.windows
            for batch in run(DocumentUnigram, stream=one.limit(STREAM.targets), boundaries="charged").engine.batches()
        ]
        for one in (STREAM, other)
    ]
    assert plans[0] == plans[1]


def test_where_they_are_paid_for_a_strategy_is_told_in_time():
    run(Listens).run()
    assert Listens.last.starts == tuple(STARTS.tolist())
    resets = [position for kind, _, position in Listens.last.heard if kind == "reset"]
    assert resets == STARTS.tolist()
    for kind, first, last in Listens.last.heard:
        if kind == "observe":
            assert not (STREAM.tokens[first:last] == BOS).any(), "a batch ends with the BOS"


@pytest.mark.parametrize("boundaries", ["paid", "charged"])
def test_step_and_block_charge_the_same(boundaries):
    block, step = (run(DocumentUnigram, boundaries=boundaries, mode=one).run() for one in ("block", "step"))
    assert np.abs(block.target_nats - step.target_nats).max() < 1e-4

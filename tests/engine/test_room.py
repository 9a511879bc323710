"""Working memory: how many rows and targets are predicted together changes no score."""

import numpy as np
import pytest
import torch

from evaladapt.contract import Capabilities, Stage, Window
from evaladapt.engine.parts import Part, Span, block_parts
from evaladapt.engine.room import Room
from evaladapt.engine.windows import Batch
from evaladapt_plugins.hedge import Hedge
from evaladapt_plugins.slot_lbfgs import SlotLbfgs
from tests.engine.runs import logprobs
from tests.strategies import EVERY_KIND, DocumentUnigram, StreamUnigram
from tests.tiny import VOCABULARY

BATCH = Batch(3, (Window(0, 1, 41), Window(20, 41, 61), Window(40, 61, 81)))
READS_LOGITS = Capabilities(stage=Stage.LOGITS, reads=frozenset({"logits"}))
ONE = 4 * VOCABULARY
"""Bytes of a distribution."""


def pieces(memory, *capabilities):
    (part,) = block_parts(BATCH)
    return list(Room.of(memory, VOCABULARY, capabilities).pieces(part))


def test_what_fits_is_one_part_as_it_was():
    (part,) = block_parts(BATCH)
    assert pieces(10**9) == [part]


@pytest.mark.parametrize("memory", [ONE, 300 * ONE, 700 * ONE])
def test_pieces_are_the_targets_in_order_once_each(memory):
    found = pieces(memory, READS_LOGITS)
    assert len(found) > 1
    spans = [span for piece in found for span in piece.spans]
    assert [target for span in spans for target in range(span.first, span.stop)] == list(range(1, 81))
    assert [piece.opens_batch for piece in found] == [True] + [False] * (len(found) - 1)
    opened = [window for piece in found if piece.opens_rows for window in piece.windows]
    assert opened == list(BATCH.windows)


def test_a_row_that_does_not_fit_goes_on_in_stretches():
    found = [piece for piece in pieces(ONE) if piece.windows == BATCH.windows[:1]]
    assert [piece.spans for piece in found] == [(Span(1, 17),), (Span(17, 33),), (Span(33, 41),)]
    assert [piece.goes_on for piece in found] == [True, True, False]


def test_more_rows_fit_where_less_is_kept_of_them():
    assert len(pieces(700 * ONE)) < len(pieces(700 * ONE, READS_LOGITS))


def test_a_twin_s_part_that_is_cut_is_whole_in_itself():
    windows, spans = BATCH.windows[:2], (Span(1, 41), Span(41, 50))
    (whole,) = block_parts(BATCH)
    part = Part(BATCH, windows, spans, opens_batch=True, opens_rows=True, share_of=whole)
    assert all(piece.share_of is None for piece in Room.of(ONE, VOCABULARY, []).pieces(part))


@pytest.mark.parametrize("memory", [ONE, 150 * ONE])
@pytest.mark.parametrize(
    "classes", [EVERY_KIND, (*EVERY_KIND, DocumentUnigram), (SlotLbfgs,), (SlotLbfgs, StreamUnigram, Hedge)]
)
def test_the_room_changes_no_score(classes, memory, monkeypatch):
    monkeypatch.setattr("evaladapt.engine.room.FEWEST_TARGETS", 3)
    wide, stride = {"sliding": {"stride": 8}}, {"batch": 4}
    whole = logprobs(*classes, options=wide, **stride)
    assert np.abs(logprobs(*classes, options=wide, memory=memory, **stride) - whole).max() < 1e-4
    assert torch.isfinite(torch.from_numpy(whole)).all()

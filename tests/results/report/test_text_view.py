"""Passages are those that a naive search finds, and colours are by the size of what was gained or lost."""

from itertools import pairwise

import numpy as np
import pytest

from evaladapt.results.report import text_view
from evaladapt.results.report.text_view import PASSAGE, passages
from evaladapt.results.scored_text import ScoredText


@pytest.mark.parametrize("seed", range(5))
def test_the_first_passage_is_the_best_and_none_overlap(seed):
    gain = np.random.default_rng(seed).standard_normal(1000)
    found = passages(gain, 5)
    naive = max(range(1, len(gain) - PASSAGE + 1), key=lambda first: gain[first : first + PASSAGE].sum())
    assert found[0].first == naive
    assert found[0].gain == pytest.approx(gain[naive : naive + PASSAGE].sum())
    places = sorted((one.first, one.stop) for one in found)
    assert all(stop <= first for (_, stop), (first, _) in pairwise(places))
    assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)


def test_where_nothing_is_gained_there_is_no_passage():
    assert passages(np.full(200, -1.0), 3) == []
    assert [(one.first, one.stop) for one in passages(np.array([0.0, 1.0, 1.0]), 3)] == [(1, 3)]
    assert passages(np.zeros(1), 3) == []


@pytest.mark.parametrize(
    ("gain", "kind"), [(0.0, ""), (0.049, ""), (0.05, "g1"), (-0.3, "l2"), (2.0, "g4"), (-9.0, "l5")]
)
def test_colours_are_by_size(gain, kind):
    assert text_view._level(gain) == kind


def test_of_a_long_text_the_beginning_and_the_passages_are_shown():
    found = text_view._stretches([text_view.Passage(9000, 9064, 1.0), text_view.Passage(9100, 9164, 1.0)], 20_000)
    assert found == [(1, text_view.MOST_TARGETS + 1), (9000 - text_view.AROUND, 9164 + text_view.AROUND)]


def test_a_token_that_is_a_tag_is_shown_as_text():
    pieces = [b"", b"<script>", b"&lt;"]
    text = ScoredText(
        tokens=np.array([0, 1, 2], dtype=np.int32),
        byte_lengths=np.array([0, 8, 4], dtype=np.int32),
        documents=np.zeros(3, dtype=np.int32),
        known=np.arange(3, dtype=np.int32),
        ends=np.cumsum([len(one) for one in pieces]),
        pieces=np.frombuffer(b"".join(pieces), dtype=np.uint8),
    )
    shown = text_view._spans(text, 1, 3, np.array([0.0, 2.0, 1.0]), np.array([0.0, 1.0, 1.0]), {1: "here"})
    assert shown == (
        '<i id="here" class="g3" title="2.00 → 1.00">&lt;script&gt;</i><i title="1.00 → 1.00">&amp;lt;</i>'
    )

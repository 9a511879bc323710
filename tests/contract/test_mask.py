import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.contract.mask import causality_mask, frontier
from tests.windows import window_rows


def positions_of(windows):
    """Every target a row's window could show, scored span included, with padding on the left."""
    width = max(window.length for window in windows)
    rows = []
    for window in windows:
        own = list(range(window.start + 1, window.score_to))
        rows.append([-1] * (width - len(own)) + own)
    return torch.tensor(rows)


@given(window_rows(), st.sampled_from(["window", "document", "stream"]))
def test_nothing_is_visible_at_or_after_a_rows_score_span(windows, scope):
    positions = positions_of(windows)
    mask = causality_mask(positions, windows, scope)
    for row, window in enumerate(windows):
        seen = positions[row][mask[row]]
        assert (seen < window.score_from).all()
        assert (seen > window.start).all()


@given(window_rows(), st.sampled_from(["document", "stream"]))
def test_shared_state_sees_nothing_at_or_after_the_frontier(windows, scope):
    positions = positions_of(windows)
    seen = positions[causality_mask(positions, windows, scope)]
    assert (seen < frontier(windows)).all()


@given(window_rows())
def test_a_row_sees_its_whole_own_past(windows):
    positions = positions_of(windows)
    mask = causality_mask(positions, windows, "window")
    assert mask.sum(dim=1).tolist() == [window.past for window in windows]


@given(window_rows(), st.data())
def test_document_state_sees_nothing_of_an_earlier_document(windows, data):
    start = data.draw(st.integers(0, windows[0].score_from - 1))
    positions = positions_of(windows)
    seen = positions[causality_mask(positions, windows, "document", document_start=start)]
    assert (seen > start).all()


@given(window_rows())
def test_a_peeking_strategy_sees_its_span_and_nothing_behind_it(windows):
    positions = positions_of(windows)
    mask = causality_mask(positions, windows, "stream", peeks=True)
    assert mask.sum(dim=1).tolist() == [window.length for window in windows]

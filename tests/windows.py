"""Random window plans for property tests."""

from hypothesis import strategies as st

from evaladapt.contract.views import Window


@st.composite
def window_rows(draw):
    """Adjacent windows of random overlap, as a batch would hold them."""
    score_from = draw(st.integers(1, 40))
    windows = []
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, score_from - 1))
        score_to = score_from + draw(st.integers(1, 12))
        windows.append(Window(start, score_from, score_to))
        score_from = score_to
    return windows

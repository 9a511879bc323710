"""The interval of a difference, tried on simulated texts with real lengths of documents."""

import math

import numpy as np
import pytest

from evaladapt.data.default_text import default_documents
from evaladapt.engine.paired import paired_difference, student_quantile

HELP_TOPICS = [
    *(1141, 11224, 4513, 1228, 781, 13677, 853, 2011, 202, 3608, 828, 739, 302, 284, 309, 1473, 548, 258, 7079),
    *(2994, 10254, 50540, 1702, 451, 675, 13660, 20537, 937, 2077, 688, 600, 2202),
]
"""Bytes of the topics of the default text under CPython 3.11."""
WEB_PAGES = [
    *(1339, 3336, 966, 4093, 352, 1337, 6213, 936, 3932, 415, 765, 3018, 41697, 2113, 606, 1404, 365, 604, 312, 2166),
    *(682, 2830, 10579, 331, 2186, 2631, 2360, 981, 2487, 13394, 3345, 753, 2867, 1056, 2989, 2664, 4412, 2756, 1726),
    *(1188, 1516, 4164, 666, 1095, 1156, 2176, 910, 994, 1734, 1235),
]
"""Bytes of fifty pages of a web crawl."""
TRIALS = 3000


def noise(kind, generator, sizes):
    """Deviations of a document's bits per byte from the mean [TRIALS, documents]."""
    shape = (TRIALS, len(sizes))
    if kind == "equal spread":
        return generator.standard_normal(shape)
    if kind == "spread by length":
        return generator.standard_normal(shape) * np.sqrt(sizes.mean() / sizes)
    if kind == "heavy tails":
        return generator.standard_t(4, shape)
    assert kind == "skewed"
    return generator.exponential(size=shape) - 1


def coverage(sizes, kind):
    """Share of simulated texts whose interval holds the true change, which is 0."""
    sizes = np.array(sizes)
    bits = noise(kind, np.random.default_rng(0), sizes) * sizes
    nothing = np.zeros(len(sizes))
    found = [paired_difference(nothing, row * math.log(2), sizes) for row in bits]
    return float(np.mean([one.low <= 0 <= one.high for one in found]))


@pytest.mark.parametrize("kind", ["equal spread", "spread by length", "heavy tails"])
@pytest.mark.parametrize("sizes", [HELP_TOPICS, WEB_PAGES, WEB_PAGES[13:], WEB_PAGES * 4, [1000] * 12])
def test_the_interval_covers_what_it_promises(sizes, kind):
    assert coverage(sizes, kind) == pytest.approx(0.95, abs=0.03)


def test_few_effective_documents_make_it_too_wide():
    """Thirteen pages of which one holds two thirds: 2.5 effective documents."""
    assert 0.98 < coverage(WEB_PAGES[:13], "equal spread") < 1.0


@pytest.mark.parametrize(("sizes", "covered"), [(HELP_TOPICS, 0.91), (WEB_PAGES, 0.925), (WEB_PAGES[13:], 0.92)])
def test_skewed_changes_make_it_too_narrow(sizes, covered):
    assert coverage(sizes, "skewed") == pytest.approx(covered, abs=0.02)


def test_the_real_lengths_are_those_of_the_default_text():
    here = [len(text.encode()) for text in default_documents()]
    assert paired_difference(*np.zeros((2, len(here))), np.array(here)).effective_documents == pytest.approx(7, abs=2)


def test_figures_by_hand():
    found = paired_difference(np.zeros(3), np.array([1.0, -2.0, 0.0]) * math.log(2), np.array([10, 20, 10]))
    assert found.bpb == pytest.approx(-1 / 40)
    assert found.effective_documents == pytest.approx(1600 / 600)
    without = np.array([-2 / 30, 1 / 20, -1 / 30])
    error = math.sqrt(2 / 3 * ((without - without.mean()) ** 2).sum())
    assert found.standard_error == pytest.approx(error)
    assert (found.low, found.high) == pytest.approx((-1 / 40 - 5.24227 * error, -1 / 40 + 5.24227 * error), rel=1e-4)
    assert (found.documents, found.better, found.worse) == (3, 1, 1)


def test_documents_without_bytes_count_in_the_sum_only():
    found = paired_difference(np.zeros(3), np.array([1.0, 1.0, 1.0]) * math.log(2), np.array([10, 10, 0]))
    assert found.bpb == pytest.approx(3 / 20)
    assert (found.documents, found.worse) == (2, 2)


def test_one_document_has_no_error_and_little_more_has_no_interval():
    one = paired_difference(np.zeros(1), np.ones(1), np.array([10]))
    assert (one.standard_error, one.low, one.high, one.spread) == (None, None, None, "")
    hardly_two = paired_difference(np.zeros(2), np.ones(2), np.array([1000, 1]))
    assert hardly_two.standard_error is not None
    assert hardly_two.low is None
    assert hardly_two.sample == "2 documents (1.0 effective): 0 better, 2 worse"


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (2, 4.3027), (5, 2.5706), (5.8, 2.46751), (30, 2.0423), (1e6, 1.96)]
)
def test_quantiles_are_those_of_the_tables(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, rel=2e-4)

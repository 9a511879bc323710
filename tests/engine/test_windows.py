from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.contract.views import ModelInfo, StreamInfo, Window
from evaladapt.engine.windows import MOST_TARGETS, PADDING_ALLOWED, Horizon, batches, covering, cut_at_documents
from evaladapt.errors import ContractViolation, UsageError
from evaladapt_plugins.sliding import Sliding, SlidingOptions
from tests.windows import window_rows

DOCUMENTS = ("continuous", "independent")


@st.composite
def streams(draw, most=80):
    targets = draw(st.integers(1, most))
    later = draw(st.sets(st.integers(1, targets), max_size=5))
    return StreamInfo(targets, (0, *sorted(later)), bos_id=1)


@st.composite
def plans(draw):
    context = draw(st.integers(1, 20))
    stride = draw(st.integers(1, context))
    return Sliding(SlidingOptions(context=context, stride=stride, documents=draw(st.sampled_from(DOCUMENTS))))


MODEL = ModelInfo(vocab_size=8, hidden_size=4, context=16, layers=1)


def scored(windows):
    return [target for window in windows for target in range(window.score_from, window.score_to)]


@given(plans(), streams())
def test_sliding_scores_every_target_exactly_once(plan, stream):
    windows = list(covering(plan.plan(stream, MODEL), stream.targets, "sliding"))
    assert scored(windows) == list(range(1, stream.targets + 1))


@given(plans(), streams(), st.integers(1, 80))
def test_what_a_target_reads_does_not_depend_on_where_the_text_ends(plan, stream, cut):
    shorter = StreamInfo(
        min(cut, stream.targets), tuple(one for one in stream.document_starts if one <= cut), stream.bos_id
    )
    start_of = {}
    for window in plan.plan(stream, MODEL):
        start_of.update({target: window.start for target in range(window.score_from, window.score_to)})
    for window in plan.plan(shorter, MODEL):
        for target in range(window.score_from, window.score_to):
            assert window.start == start_of[target]


@given(streams(), st.integers(1, 12), st.data())
def test_windows_keep_to_the_context_and_the_stride(stream, context, data):
    stride = data.draw(st.integers(1, context))
    windows = list(Sliding(SlidingOptions(context=context, stride=stride)).plan(stream, MODEL))
    assert all(window.length <= context for window in windows)
    assert all(window.past >= context - stride for window in windows[1:] if window.scored == stride)


@given(streams())
def test_independent_documents_never_read_another_document(stream):
    plan = Sliding(SlidingOptions(documents="independent", context=7, stride=3))
    for window in plan.plan(stream, MODEL):
        inside = [start for start in stream.document_starts if window.start < start < window.score_to - 1]
        assert inside == []


def test_a_stride_above_the_window_is_refused_with_the_largest_that_works():
    with pytest.raises(UsageError, match=r"-o sliding.stride=16"):
        Sliding(SlidingOptions(stride=17)).plan(StreamInfo(9, (0,), 1), MODEL)


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([Window(0, 1, 5), Window(0, 4, 9)], "score target 4 again"),
        ([Window(0, 1, 5), Window(0, 6, 9)], "although target 5 was not scored"),
        ([Window(0, 1, 5)], "ends after target 4 of 8"),
        ([Window(0, 1, 12)], "past the last target"),
        ([Window(1, 1, 9)], "not of the form"),
        ([Window(0, 1, 1)], "not of the form"),
        ([], "ends after target 0 of 8"),
    ],
)
def test_a_plan_that_does_not_cover_exactly_once_breaks_c4(windows, said):
    with pytest.raises(ContractViolation, match=said) as caught:
        list(covering(windows, 8, "odd"))
    assert caught.value.clause == "C4"


READS_ON = Window(0, 5, 9, continues=True)


@pytest.mark.parametrize(
    ("windows", "declared", "said"),
    [
        ([Window(0, 1, 5), READS_ON], False, "does not declare continues=True"),
        ([Window(0, 1, 9, continues=True)], True, "cannot read on from a window that starts at -1"),
        ([Window(0, 1, 3), Window(2, 3, 5), replace(READS_ON, start=1)], True, "that starts at 2"),
        ([Window(0, 1, 5), replace(READS_ON, start=2, sinks=3)], True, "that starts at 0"),
    ],
)
def test_a_window_that_continues_what_it_cannot_breaks_c4(windows, declared, said):
    with pytest.raises(ContractViolation, match=said) as caught:
        list(covering(windows, 8, "odd", continues=declared))
    assert caught.value.clause == "C4"


def test_a_window_that_continues_passes_and_so_do_its_pieces():
    windows = list(covering([Window(0, 1, 5), replace(READS_ON, start=2, sinks=2)], 8, "on", continues=True))
    cut = list(cut_at_documents(windows, StreamInfo(8, (0, 6), bos_id=1)))
    assert cut[1:] == [replace(windows[1], score_to=7), replace(windows[1], score_from=7)]


@given(plans(), streams(), st.integers(1, 5))
def test_batches_hold_all_windows_in_order_with_little_padding(plan, stream, rows):
    windows = list(plan.plan(stream, MODEL))
    grouped = list(batches(windows, rows))
    assert [window for batch in grouped for window in batch.windows] == windows
    assert [batch.number for batch in grouped] == list(range(len(grouped)))
    for batch in grouped:
        assert len(batch.windows) <= rows
        lengths = [window.length for window in batch.windows]
        assert max(lengths) * len(lengths) <= PADDING_ALLOWED * sum(lengths)


@given(window_rows(), st.sets(st.integers(1, 100)), st.integers(1, 4))
def test_cutting_at_documents_keeps_coverage_and_starts_and_ends_batches_there(windows, starts, rows):
    stream = StreamInfo(windows[-1].score_to - 1, (0, *sorted(starts)), bos_id=1)
    cut = list(cut_at_documents(windows, stream))
    assert scored(cut) == scored(windows)
    assert {window.start for window in cut} <= {window.start for window in windows}
    for batch in batches(cut, rows, stream.document_starts):
        inside = [start for start in starts if batch.frontier <= start < batch.end - 1]
        assert inside == []


def ends_a_stretch(batch, targets, origin=0):
    """Whether the batch's windows begin to score in one stretch, which the last of them may complete."""
    return len({(window.score_from - 1 - origin) // targets for window in batch.windows}) == 1


@given(window_rows(), st.integers(1, 6), st.lists(st.integers(1, 30), max_size=3))
def test_no_batch_goes_on_after_the_window_that_completes_a_stretch_of_some_horizon(windows, rows, targets):
    grouped = list(batches(windows, rows, horizons=tuple(map(Horizon, targets))))
    assert [window for batch in grouped for window in batch.windows] == windows
    assert all(ends_a_stretch(batch, one) for batch in grouped for one in targets)
    assert list(batches(windows, rows, horizons=(Horizon(10**9),))) == list(batches(windows, rows))


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 6))
def test_batches_end_where_a_horizon_ends_although_the_first_window_stands_alone(rows, stride, times):
    horizon = stride * times
    plan = Sliding(SlidingOptions(context=4 * stride, stride=stride)).plan(StreamInfo(400, (0,), 1), MODEL)
    ends = {batch.end - 1 for batch in batches(plan, rows, horizons=(Horizon(horizon),))}
    assert set(range(-(-4 * stride // horizon) * horizon, 400, horizon)) <= ends


@given(st.integers(1, 8), st.sets(st.integers(1, 100), max_size=3), st.integers(1, 30))
def test_stretches_of_a_document_are_counted_from_its_start(rows, starts, targets):
    stream = StreamInfo(120, (0, *sorted(starts)), bos_id=1)
    plan = Sliding(SlidingOptions(context=12, stride=3)).plan(stream, MODEL)
    cut = cut_at_documents(plan, stream)
    for batch in batches(cut, rows, stream.document_starts, (Horizon(targets, by_document=True),)):
        document = max(start for start in stream.document_starts if start < batch.frontier)
        assert ends_a_stretch(batch, targets, document)


def test_a_batch_of_several_windows_has_a_largest_number_of_targets():
    plan = Sliding(SlidingOptions(context=1024, stride=1024)).plan(StreamInfo(20_000, (0,), 1), MODEL)
    sizes = [batch.end - batch.frontier for batch in batches(plan, 1000)]
    assert max(sizes) == MOST_TARGETS
    whole = Sliding(SlidingOptions(context=6000)).plan(StreamInfo(6000, (0,), 1), MODEL)
    assert [batch.end - batch.frontier for batch in batches(whole, 1000)] == [6000]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.contract.views import ModelInfo, StreamInfo, Window
from evaladapt.engine.windows import PADDING_ALLOWED, batches, covering, cut_at_documents
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


@given(window_rows(), st.integers(1, 6), st.integers(1, 30))
def test_a_batch_of_several_windows_stays_within_the_horizon(windows, rows, horizon):
    grouped = list(batches(windows, rows, horizon=horizon))
    assert [window for batch in grouped for window in batch.windows] == windows
    assert all(batch.end - batch.frontier <= horizon for batch in grouped if len(batch.windows) > 1)
    assert list(batches(windows, rows, horizon=10**9)) == list(batches(windows, rows))

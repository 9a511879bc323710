import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.contract import Capabilities, Stage, Window
from evaladapt.engine.keeper import FILLER, PADDING, Keeper
from evaladapt.engine.parts import block_parts, step_parts
from evaladapt.engine.windows import Batch
from tests.tiny import known_text, random_stream
from tests.windows import window_rows

STREAM = random_stream((60, 70), vocabulary=500)
TOKENS = torch.from_numpy(STREAM.tokens).long()


def keeper():
    return Keeper(known_text(STREAM), torch.device("cpu"))


def capabilities(scope, peeks=False):
    return Capabilities(stage=Stage.LOGITS, scope=scope, peeks=peeks)


@given(window_rows())
def test_in_step_mode_the_model_is_given_the_prefix_and_filler(windows):
    for part in step_parts(Batch(0, tuple(windows))):
        (window,), (span,) = part.windows, part.spans
        (row,) = keeper().inputs(part)
        known = span.first - window.start
        assert row[:known].tolist() == TOKENS[window.start : span.first].tolist()
        assert (row[known:] == FILLER).all()


@given(window_rows())
def test_in_block_mode_a_row_ends_before_its_last_target(windows):
    (part,) = block_parts(Batch(0, tuple(windows)))
    for row, window in zip(keeper().inputs(part), windows, strict=True):
        assert row[: window.length].tolist() == TOKENS[window.start : window.score_to - 1].tolist()
        assert (row[window.length :] == FILLER).all()


@given(window_rows(), st.sampled_from(["window", "document", "stream"]), st.integers(0, 60))
def test_a_past_shows_the_targets_of_the_mask_and_no_other(windows, scope, columns):
    (part,) = block_parts(Batch(0, tuple(windows)))
    positions = keeper().past_positions(windows, columns)
    past = keeper().past(positions, part, capabilities(scope))
    assert (past.targets[~past.visible] == -100).all()
    assert torch.equal(past.targets[past.visible], TOKENS[past.positions[past.visible]])
    known = past.positions != PADDING
    assert torch.equal(past.tokens[known], TOKENS[past.positions[known] - 1])
    for row, window in enumerate(windows):
        assert int(known[row].sum()) == min(window.past, columns)
        assert not bool((past.positions[row] >= window.score_from).any())


@given(window_rows(), st.integers(1, 12))
def test_a_query_reaches_back_to_the_earliest_token_of_its_windows_and_no_target_is_in_it(windows, k):
    for part in (*block_parts(Batch(0, tuple(windows))), *step_parts(Batch(0, tuple(windows)))):
        positions = keeper().span_positions(part)
        query = keeper().query(positions, part)
        before = query.preceding(k)
        for row, column in query.valid.nonzero().tolist():
            target = int(positions[row, column])
            first = max(min(window.start for window in windows), target - k)
            missing = k - (target - first)
            assert before[row, column].tolist() == [-1] * missing + TOKENS[first:target].tolist()
            assert int(query.documents[row, column]) == STREAM.documents[target - 1]
        assert bool((before[~query.valid] == -1).all())


@pytest.mark.parametrize("parts", [block_parts, step_parts])
def test_rows_whose_starts_are_not_in_order_know_their_documents(parts):
    """A plan may have a later row start earlier; 61 is the BOS of the second document of the stream."""
    windows = (Window(70, 75, 80), Window(50, 80, 90))
    for part in parts(Batch(0, windows)):
        for columns in (keeper().span_positions(part), keeper().past_positions(part.windows, 25)):
            query = keeper().query(columns, part)
            for row, column in query.valid.nonzero().tolist():
                target = int(columns[row, column])
                assert int(query.documents[row, column]) == STREAM.documents[target - 1]
                assert query.preceding(1)[row, column].tolist() == [TOKENS[target - 1]]


@given(window_rows())
def test_targets_of_all_parts_are_the_stream_in_order(windows):
    batch = Batch(0, tuple(windows))
    for parts in (block_parts, step_parts):
        targets = torch.cat([keeper().targets(part) for part in parts(batch)])
        assert torch.equal(targets, TOKENS[batch.frontier : batch.end])

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.artifact import DamagedArtifact, LimitExceeded
from evaladapt.artifact.strict_json import canonical_json, parse_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values)
def test_what_is_written_is_read_and_written_again_the_same(value):
    text = canonical_json(value)
    assert parse_json(text, "x", 64) == value
    assert canonical_json(parse_json(text, "x", 64)) == text


def test_order_of_keys_does_not_matter():
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1}) == '{"a":2,"b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_has_no_infinities(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("text", "words"), [('{"a":1,"a":2}', "'a' occurs twice"), ("[NaN]", "NaN"), ("[1e400]", "1e400")]
)
def test_ambiguous_json_is_damage(text, words):
    with pytest.raises(DamagedArtifact, match=words):
        parse_json(text, "x", 8)


def test_depth_counts_brackets_outside_strings():
    assert parse_json('["[[[[", "\\"[[[["]', "x", 1) == ["[[[[", '"[[[[']
    assert parse_json("[[]]", "x", 2) == [[]]
    with pytest.raises(LimitExceeded, match="deeper than 2"):
        parse_json("[[[]]]", "x", 2)


def test_unfinished_strings_are_scanned_once():
    """A scan that starts again at every quotation mark would take minutes here."""
    with pytest.raises(DamagedArtifact):
        parse_json('"' + '\\"' * 500_000, "x", 8)

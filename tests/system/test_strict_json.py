import math
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.errors import DataError
from evaladapt.system.strict_json import (
    BeyondLimit,
    Fields,
    Malformed,
    TextLimits,
    canonical_json,
    parse_json,
    parse_toml,
    read_json,
    read_toml,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values)
def test_what_is_written_is_read_and_written_again_the_same(value):
    text = canonical_json(value)
    assert parse_json(text, "x") == value
    assert canonical_json(parse_json(text, "x")) == text


def test_order_of_keys_does_not_matter():
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1}) == '{"a":2,"b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_has_no_infinities(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a":1,"a":2}', "'a' occurs twice"),
        ("[NaN]", "NaN"),
        ("[1e400]", "1e400"),
        ('"\\ud800"', "surrogate"),
        (b'"\xff"', "not UTF-8"),
        ("", "not valid JSON"),
    ],
)
def test_ambiguous_json_is_refused(text, words):
    with pytest.raises(Malformed, match=words):
        parse_json(text, "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1\na = 2", "overwrite"),
        ("a = nan", "nan is not a finite number"),
        ("a = -inf", "inf is not"),
        ("a = 1e400", "1e400"),
        (b"a = '\xff'", "not UTF-8"),
        ("a = ", "not valid TOML"),
    ],
)
def test_ambiguous_toml_is_refused(text, words):
    with pytest.raises(Malformed, match=words):
        parse_toml(text, "x")


def test_depth_counts_brackets_outside_strings():
    assert parse_json('["[[[[", "\\"[[[["]', "x", TextLimits(depth=1)) == ["[[[[", '"[[[[']
    assert parse_json("[[]]", "x", TextLimits(depth=2)) == [[]]
    with pytest.raises(BeyondLimit, match="deeper than 2"):
        parse_json("[[[]]]", "x", TextLimits(depth=2))


@pytest.mark.parametrize("parse", [parse_json, parse_toml])
@pytest.mark.parametrize("size", [40, 100_000])
def test_bottomless_nesting_is_beyond_the_limit(parse, size):
    start = "" if parse is parse_json else "a = "
    with pytest.raises(BeyondLimit, match="x nests deeper than 32 levels"):
        parse(start + "[" * size + "]" * size, "x")


def test_tables_count_as_levels():
    assert parse_toml("[a.b.c]\nd = 1", "x", TextLimits(depth=4)) == {"a": {"b": {"c": {"d": 1}}}}
    with pytest.raises(BeyondLimit, match="deeper than 3"):
        parse_toml("[a.b.c]\nd = 1", "x", TextLimits(depth=3))


@pytest.mark.parametrize("parse", [parse_json, parse_toml])
@pytest.mark.parametrize("digits", [41, 5_000])
def test_endless_numbers_are_refused(parse, digits):
    start, end = ("[", "]") if parse is parse_json else ("a = [", "]")
    with pytest.raises(Malformed, match="digits"):
        parse(start + "9" * digits + end, "x")


def test_unfinished_strings_are_scanned_once():
    """A scan that starts again at every quotation mark would take minutes here."""
    with pytest.raises(Malformed):
        parse_json('"' + '\\"' * 500_000, "x")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet='[]{}",:.0123456789eE-+nulltrefas \\"=\n#\'', max_size=40))
def test_every_text_is_read_or_malformed(text):
    for parse in (parse_json, parse_toml):
        with suppress(Malformed):
            parse(text, "x")


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_only_regular_files_of_a_bounded_size_are_read(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is not a regular file but a pipe"):
        read(tmp_path / "pipe")
    with pytest.raises(DataError, match="/dev/zero is not a regular file but a device"):
        read(Path("/dev/zero"))
    with pytest.raises(DataError, match="but a folder"):
        read(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        read(tmp_path / "none")
    (tmp_path / "long").write_text("[" + " " * 100 + "]")
    with pytest.raises(DataError, match="has 102 bytes; the limit is 50"):
        read(tmp_path / "long", TextLimits(size=50))


class TestFields:
    fields = Fields({"n": 3, "x": 0.5, "s": "b", "on": True, "o": {"m": 1}, "l": [{"k": 2}], "big": 10**5000}, "x")

    def test_fields_are_what_they_should_be(self):
        fields = self.fields
        assert (fields.whole("n"), fields.number("n"), fields.number("x")) == (3, 3.0, 0.5)
        assert (fields.text("s", ("a", "b")), fields.flag("on"), fields.fields("o").whole("m")) == ("b", True, 1)
        assert fields.fields_of_each("l")[0].whole("k") == 2
        assert "n" in fields
        assert "m" not in fields

    @pytest.mark.parametrize(
        ("ask", "words"),
        [
            (lambda f: f.whole("m"), "x: the field 'm' is missing"),
            (lambda f: f.whole("x"), "'x' is 0.5, not a whole number"),
            (lambda f: f.whole("on"), "'on' is True, not a whole number"),
            (lambda f: f.whole("n", 4), "'n' is 3, not a whole number from 4"),
            (lambda f: f.whole("big"), "a very long number"),
            (lambda f: f.number("big"), "a finite number"),
            (lambda f: f.number("on"), "'on' is True, not a number"),
            (lambda f: f.text("s", ("a", "c")), "'s' is 'b', not one of a, c"),
            (lambda f: f.fields("n"), "'n' is not an object"),
            (lambda f: f.each("o"), "not a list"),
            (lambda f: f.only("n", "xx"), "unknown field 'x'. Did you mean 'xx'"),
        ],
    )
    def test_odd_fields_are_told(self, ask, words):
        with pytest.raises(Malformed, match=words):
            ask(self.fields)

    def test_a_number_that_is_none_is_refused(self):
        with pytest.raises(Malformed, match="finite"):
            Fields({"x": math.nan}, "x").number("x")

    def test_messages_hold_nothing_that_a_terminal_obeys(self):
        with pytest.raises(Malformed) as caught:
            Fields({"s": "\x1b[31mred" * 99}, "x").whole("s")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 250

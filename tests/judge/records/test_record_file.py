"""Records that somebody wrote by hand: whole, or one message that names the field; never a traceback."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.errors import DataError
from evaladapt.judge.evaluate import evaluate
from evaladapt.judge.records.record import write_record
from evaladapt.judge.records.record_file import read_record

WRONG = [
    None,
    True,
    -1,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    "x",
    "\x1b[31m",
    [],
    [None],
    {},
    {"a": 1},
    "9" * 5000,
]


@pytest.fixture(scope="module")
def content(ask):
    return json.loads(json.dumps(evaluate(ask("windowbias", with_base=True, inline=True)).to_json()))


FREE = {"chosen", "options", "scalars", "phases", "strategies", "environment", "composition", "example", "files"}
"""Objects whose names are not fixed."""


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in items:
        yield from places(one, (*path, name))


def put(content, path, value):
    changed = copy.deepcopy(content)
    if not path:
        return value
    at = changed
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return changed


def drop(content, path):
    changed = copy.deepcopy(content)
    at = changed
    for name in path[:-1]:
        at = at[name]
    del at[path[-1]]
    return changed


def read(folder, text):
    path = folder / "record.json"
    path.write_text(text, encoding="utf-8")
    return read_record(path)


def test_a_record_that_was_written_is_read(content, ask, tmp_path):
    record = evaluate(ask("windowbias", inline=True))
    write_record(tmp_path / "record.json", record)
    assert read_record(tmp_path / "record.json") == json.loads(json.dumps(record.to_json()))


def test_every_place_with_every_wrong_value_is_read_or_one_message(content, tmp_path):
    tried, said = 0, []
    for path in places(content):
        for wrong in WRONG:
            tried += 1
            try:
                read(tmp_path, json.dumps(put(content, path, wrong)))
            except DataError as error:
                said.append(str(error))
    assert tried > 1960
    assert len(said) > tried / 2
    assert all("record" in one and "\x1b" not in one for one in said)


def test_every_field_that_is_missing_is_named(content, tmp_path):
    for path in places(content):
        if path and isinstance(path[-1], str) and not FREE & set(path[:-1]):
            with pytest.raises(DataError, match=path[-1] if path != ("format",) else "record"):
                read(tmp_path, json.dumps(drop(content, path)))


@given(
    st.binary(max_size=200)
    | st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"NaN", b'{"format": 1}'])
)
def test_any_bytes_are_one_message(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("record") / "record.json"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_record(path)

"""Tables in every form hold the same values."""

import csv
import json
import sys

import pytest

import evaladapt as ea
from evaladapt.errors import UsageError
from evaladapt.results.table import writer_for


def values(row):
    return [getattr(row, name) for name in row.__dataclass_fields__]


def test_rows_are_python_values(result):
    rows = result.documents()
    assert type(rows[0].bytes) is int
    assert type(rows[0].bits) is float
    assert rows[-1] == rows[len(rows) - 1]
    assert rows[:2] == [rows[0], rows[1]]


def test_pandas_and_arrow_have_the_columns_of_a_row(result):
    frame, table = result.targets().to_pandas(), result.targets().to_arrow()
    row = result.targets()[5]
    assert list(frame.columns) == table.column_names == list(row.__dataclass_fields__)
    assert frame.iloc[5].tolist() == values(row)
    assert list(table.slice(5, 1).to_pylist()[0].values()) == values(row)


def test_what_there_is_not_is_null_everywhere(tmp_path):
    documents = ea.run("micro", ["A word"], inline=True, base=False).documents()
    assert documents.to_pandas()["gain"].isna().all()
    assert documents.to_arrow()["gain"].null_count == 1
    documents.save(tmp_path / "d.jsonl")
    assert json.loads((tmp_path / "d.jsonl").read_text())["gain"] is None
    documents.save(tmp_path / "d.csv")
    assert next(csv.DictReader((tmp_path / "d.csv").read_text().splitlines()))["gain"] == ""


def test_files_of_all_forms_hold_the_rows(result, tmp_path):
    import pyarrow.parquet

    targets = result.targets()
    for suffix in (".csv", ".jsonl", ".parquet"):
        targets.save(tmp_path / f"t{suffix}")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [list(line.values()) for line in lines] == [values(row) for row in targets]
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pylist() == lines
    with (tmp_path / "t.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["text"], float(row["nats"])) for row in found] == [(line["text"], line["nats"]) for line in lines]


@pytest.mark.parametrize(
    ("name", "said"),
    [("d.cvs", r"Did you mean '\.csv'"), ("d", "no suffix"), ("missing/d.csv", "no folder .*mkdir -p")],
)
def test_names_that_cannot_be_written_are_refused(tmp_path, name, said):
    with pytest.raises(UsageError, match=said):
        writer_for(tmp_path / name)


@pytest.mark.parametrize(("package", "extra"), [("pandas", "report"), ("pyarrow", "data")])
def test_a_missing_package_says_what_to_install(result, monkeypatch, tmp_path, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    call = result.documents().to_pandas if package == "pandas" else result.documents().to_arrow
    with pytest.raises(UsageError, match=rf"pip install 'evaladapt\[{extra}\]'"):
        call()
    if package == "pyarrow":
        with pytest.raises(UsageError, match="pip install"):
            writer_for(tmp_path / "d.parquet")

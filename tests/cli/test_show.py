import csv

from evaladapt.cli.main import invoke


def test_a_run_is_shown_and_taken_apart_without_running_again(capsys, tiny_artifact, text_file, tmp_path):
    given = ["--data", str(text_file), "--plugins", "ngram", "--inline", "--out", str(tmp_path / "run")]
    first = [tmp_path / "d1.csv", tmp_path / "t1.csv"]
    again = [tmp_path / "d2.csv", tmp_path / "t2.csv"]
    files = [["--documents", str(one), "--targets", str(two)] for one, two in (first, again)]
    assert invoke(["run", str(tiny_artifact), *given, *files[0]]) == 0
    ran = capsys.readouterr().out
    assert invoke(["show", str(tmp_path / "run"), *files[1]]) == 0
    shown = capsys.readouterr()
    assert shown.out == ran
    assert "1 documents:" in shown.err
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    (row,) = csv.DictReader(first[0].read_text().splitlines())
    assert int(row["bytes"]) == text_file.stat().st_size


def test_a_table_that_cannot_be_written_is_refused_before_the_run(capsys, tiny_artifact, text_file, tmp_path):
    given = [
        "run",
        str(tiny_artifact),
        "--data",
        str(text_file),
        "--out",
        str(tmp_path / "run"),
        "--documents",
        "d.cvs",
    ]
    assert invoke(given) == 2
    assert "Did you mean '.csv'?" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_run_is_told(capsys, tmp_path):
    assert invoke(["show", str(tmp_path)]) == 5
    assert "no record.json" in capsys.readouterr().err
    assert invoke(["show", str(tmp_path / "absent")]) == 5
    assert "there is no folder" in capsys.readouterr().err

import json
from pathlib import Path

import pytest

from evaladapt.errors import DataError
from evaladapt.train.reporting import MetricsFile, ProgressReport, StepMetrics, ValidationMetrics


def step(number: int) -> StepMetrics:
    return StepMetrics(number, 10 * number, 0.5, 3.25, 1.0, 0.1)


def test_metrics_are_json_lines(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path, 0)
    metrics.append(step(1))
    metrics.append(ValidationMetrics(1, 0.5, {"web": 2.0}))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["loss"] == 3.25
    assert lines[1]["val_bpb"] == {"web": 2.0}


def test_lines_after_the_checkpoint_and_a_torn_line_are_dropped(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path, 0)
    for number in range(1, 6):
        metrics.append(step(number))
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-20])
    MetricsFile(tmp_path, 3).append(step(4))
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


@pytest.mark.parametrize("line", ["{}", "[" * 100_000, '{"step":"one"}', '{"step":1e999}', "nothing", "[]"])
def test_a_line_of_another_hand_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl.*Move the file away"):
        MetricsFile(tmp_path, 3)


def test_progress_goes_to_stderr_as_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    report = ProgressReport()
    report.step(step(7), 0.25, 1234.0)
    report.step(step(8), 0.30, 1234.0)
    report.validation(ValidationMetrics(8, 1.0, {"web": 2.0}))
    report.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert "25.0%" in err
    assert "step 7  loss 3.2500  lr x0.100  1,234 tokens/s" in err
    assert "step 8  " not in err
    assert "validation after step 8: web 2.0000 bpb" in err

"""The bench of scaling measures in processes of its own; no test looks at its times."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from evaladapt.bench import scaled, scaling
from evaladapt.cli.bench import bench

SMALL = scaled.Case(line="sliding", targets=40, vocabulary=64, layers=1, width=32)


def test_what_is_made_up_has_the_shape_that_was_asked_for():
    cost = scaled.cost(replace(SMALL, line="stream"))
    assert cost.seconds > 0
    assert cost.megabytes > 1
    assert cost.parameters > 64 * 32


@pytest.fixture
def few(monkeypatch):
    """Two runs on an axis, the second too long for any patience, and one after it."""
    cases = [SMALL, replace(SMALL, targets=10**12), replace(SMALL, targets=10**13)]
    points = [scaling.Point("parameters", float(number), case) for number, case in enumerate(cases)]
    monkeypatch.setattr(scaling, "_cost_of", scaled.cost)
    monkeypatch.setitem(scaling.AXES, "parameters", lambda: iter(points))


@pytest.mark.usefixtures("few")
def test_rows_and_a_picture_are_written_and_what_would_take_too_long_is_left_out(tmp_path):
    done = CliRunner().invoke(bench, ["scaling", "--axis", "parameters", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "scaling.json").read_text())["rows"]
    assert [row["cost"] is None for row in rows] == [False, True, True]
    assert rows[0]["value"] == rows[0]["cost"]["parameters"] / 1e6
    assert done.stdout.count("left out") == 2
    picture = (tmp_path / "out" / "scaling.svg").read_text()
    assert "million parameters" in picture
    assert "sliding" in picture


def test_every_axis_has_a_line_of_growing_runs_for_each_composition():
    for points in scaling.AXES.values():
        for one, other in zip(found := list(points()), found[1:], strict=False):
            if scaling._follows(one, other):
                assert scaling._work(other) > scaling._work(one)

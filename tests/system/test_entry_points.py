"""What is installed is read once, and again where something came."""

import importlib.metadata
import subprocess
import sys

import pytest

from evaladapt.system import entry_points
from evaladapt.system.entry_points import STRATEGIES, installed
from tests.processes import ROOT


def lay_out(folder, alias, version):
    info = folder / f"{alias}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {alias}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{STRATEGIES}]\n{alias} = nowhere:Nothing\n")


def test_what_comes_later_is_found_and_what_was_read_is_not_read_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    lay_out(tmp_path, "first-one", "1.0")
    assert "first-one:first-one" in {one.qualified for one in installed(STRATEGIES)}
    monkeypatch.setattr(entry_points, "entry_points", None)
    assert "first-one:first-one" in {one.qualified for one in installed(STRATEGIES)}
    monkeypatch.setattr(entry_points, "entry_points", importlib.metadata.entry_points)
    lay_out(tmp_path, "second-one", "2.0")
    found = {one.alias: one.version for one in installed(STRATEGIES)}
    assert found["second-one"] == "2.0"


@pytest.mark.parametrize("room", ["plugins", "models"])
def test_a_list_of_names_does_not_wait_for_torch(room):
    program = (
        "import sys; from evaladapt.cli.main import invoke; code = invoke([sys.argv[1], 'list'])\n"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, room], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

"""What a player is started with: nothing that leads to a text, a program or a person's folder."""

import ctypes.util
import shutil
from pathlib import Path

from evaladapt.judge.forking import environment


def test_a_players_environment_leads_nowhere(monkeypatch):
    monkeypatch.setenv("EVALADAPT_SECRET", "/data/text.txt")
    monkeypatch.setenv("PWD", "/data")
    variables = environment("cpu", 1, 1)
    assert not [name for name, value in variables.items() if "/data" in value]
    assert variables["PYTHONHASHSEED"] == "0"
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    for name in ("HOME", "PATH"):
        assert not Path(variables[name]).exists()


def test_a_library_is_looked_for_without_a_compiler_and_its_temporary_file(monkeypatch, tmp_path):
    """CUDA builds of torch look for one while they are imported, where no file can be made any more."""
    monkeypatch.setenv("PATH", environment("cpu", 1, 1)["PATH"])
    monkeypatch.setattr("tempfile.NamedTemporaryFile", None)
    assert shutil.which("gcc") is None
    ctypes.util.find_library("evaladapt-none")

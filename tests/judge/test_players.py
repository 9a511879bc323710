"""What a player is started with: nothing that leads to a text, a program or a person's folder."""

import ctypes.util
import shutil
from pathlib import Path

from evaladapt.judge.recipe import environment_of


def test_a_players_environment_leads_nowhere(ask, monkeypatch):
    monkeypatch.setenv("EVALADAPT_SECRET", "/data/text.txt")
    monkeypatch.setenv("PWD", "/data")
    environment = environment_of(ask().recipe(base=False))
    assert not [name for name, value in environment.items() if "/data" in value]
    assert environment["PYTHONHASHSEED"] == "0"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    for name in ("HOME", "PATH"):
        assert not Path(environment[name]).exists()


def test_a_library_is_looked_for_without_a_compiler_and_its_temporary_file(ask, monkeypatch, tmp_path):
    """CUDA builds of torch look for one while they are imported, where no file can be made any more."""
    monkeypatch.setenv("PATH", environment_of(ask().recipe(base=False))["PATH"])
    monkeypatch.setattr("tempfile.NamedTemporaryFile", None)
    assert shutil.which("gcc") is None
    ctypes.util.find_library("evaladapt-none")

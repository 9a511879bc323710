"""What a player is started with: nothing that leads to a text, a program or a person's folder."""

import ctypes.util
import errno
import os
import shutil
from pathlib import Path

import pytest

from evaladapt.errors import EvaladaptError
from evaladapt.judge.player.forking import environment
from evaladapt.judge.player.players import Player


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


def test_where_files_may_not_be_so_large_it_says_what_to_look_at(ask, monkeypatch):
    monkeypatch.setattr("evaladapt.judge.player.players.new_segment", _too_large)
    with pytest.raises(EvaladaptError, match=r"64 MB .*File too large.*ulimit -f"):
        Player(ask().recipe(base=False))


def _too_large(name, size):
    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

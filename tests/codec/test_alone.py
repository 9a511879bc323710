import json
import os
import socket
import subprocess
import sys

import pytest

from evaladapt.codec.alone import alone


def test_reading_a_file_of_the_users_is_refused_and_told(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("secret")
    with alone() as refused, pytest.raises(PermissionError, match="which a decoder does not have"):
        path.read_text()
    assert refused == [f"read {path}"]
    assert path.read_text() == "secret"


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
def test_by_descriptor_too(tmp_path, flags):
    path = tmp_path / "text.txt"
    path.write_text("secret")
    with alone(), pytest.raises(PermissionError):
        os.open(path, flags)


def test_a_link_inside_the_program_leads_nowhere_else(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("secret")
    (tmp_path / "link").symlink_to(path)
    with alone([tmp_path / "other"]), pytest.raises(PermissionError):
        (tmp_path / "link").read_text()


def test_own_files_and_the_installed_program_may_be_read(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_text("mine")
    (tmp_path / "late.py").write_text("import this")
    with alone([path]) as refused:
        assert path.read_text() == "mine"
        with open(json.__file__) as file:
            assert file.read(3)
        (tmp_path / "new").write_text("written")
        assert (tmp_path / "late.py").read_text() == "import this"
    assert not refused


def test_nobody_else_is_asked():
    with alone() as refused:
        with pytest.raises(PermissionError):
            subprocess.run([sys.executable, "-c", "pass"], check=True)
        with socket.socket() as connection, pytest.raises(PermissionError):
            connection.connect(("127.0.0.1", 9))
    assert len(refused) == 2

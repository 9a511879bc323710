import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from evaladapt.errors import DataError
from evaladapt.system.locks import LOCK_NAME, FolderBusy, locked, new_folder
from tests.processes import ROOT

HOLDS = (
    "import sys, time; from pathlib import Path; from evaladapt.system.locks import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def holder(folder):
    """Another process that holds the lock."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, folder], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_everybody_gets_a_folder_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_folder(tmp_path / "runs" / "a"), range(16)))
    assert len(set(made)) == 16
    assert tmp_path / "runs" / "a" in made
    assert tmp_path / "runs" / "a-16" in made


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="Cannot make"):
        new_folder(tmp_path / "file" / "a")


def test_one_at_a_time(tmp_path):
    with locked(tmp_path), pytest.raises(FolderBusy, match=f"written by process {os.getpid()}"), locked(tmp_path):
        pass
    assert not (tmp_path / LOCK_NAME).exists()
    with locked(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_a_living_process_keeps_its_folder_and_a_killed_one_does_not(tmp_path):
    with holder(tmp_path) as process:
        try:
            with pytest.raises(FolderBusy, match=f"process {process.pid};"), locked(tmp_path):
                pass
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert (tmp_path / LOCK_NAME).read_text() == f"{process.pid}\n"
    with locked(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="Cannot write to"), locked(tmp_path / "none"):
        pass

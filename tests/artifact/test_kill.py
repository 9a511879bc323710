"""Kills while an artifact is made: under its final name there is a whole file or none, and another try makes it."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from evaladapt.artifact import open_artifact
from evaladapt.cli.main import invoke
from tests.artifact import writing_forever
from tests.processes import dies_in, in_child

KILLS = int(os.environ.get("EVALADAPT_KILLS", "5"))


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_no_half_written_file_is_ever_visible(tmp_path):
    path = tmp_path / "m.eva"
    whole = {hashlib.sha256(data).hexdigest() for data in writing_forever.contents()}
    moments = np.random.default_rng(0).uniform(0.0, 0.05, KILLS)
    found = 0
    for moment in moments:
        command = [sys.executable, "-m", "tests.artifact.writing_forever", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moment)
            process.kill()
        if path.exists():
            found += 1
            assert open_artifact(path).sha256 in whole
    assert found, "every kill came before the first file was whole"
    names = {entry.name for entry in tmp_path.iterdir()}
    assert all(name == "m.eva" or name.startswith(".m.eva.") for name in names), names


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_packing_killed_anywhere_leaves_nothing_and_ends_in_the_same_file(training, tmp_path):
    """Wherever between its first line and its last; GPTQ, its own text and the search for steps are all in it."""

    def pack(path):
        assert invoke(["pack", str(training), "--out", str(path), "--max-bytes", "40_000", "--json"]) == 0

    def pack_and_die(path, moment):
        dies_in(moment)
        pack(path)

    whole, path = tmp_path / "whole.eva", tmp_path / "m.eva"
    started = time.perf_counter()
    assert in_child(lambda: pack(whole)) == 0
    seconds = time.perf_counter() - started
    ends = set()
    for moment in np.random.default_rng(1).uniform(0.0, 1.1 * seconds, KILLS):
        ends.add(in_child(lambda moment=moment: pack_and_die(path, moment)))
        assert not path.exists() or path.read_bytes() == whole.read_bytes()
        path.unlink(missing_ok=True)
    assert signal.SIGALRM in ends
    assert in_child(lambda: pack(path)) == 0
    assert path.read_bytes() == whole.read_bytes()

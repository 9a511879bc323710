"""kill -9 while an artifact is written: under its final name there is a whole file or none."""

import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from evaladapt.artifact import open_artifact
from tests.artifact import writing_forever

KILLS = int(os.environ.get("EVALADAPT_KILLS", "10"))


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

"""Judge, player, twin or fork server killed at random moments: nothing runs on, and it resumes to the same ledger."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = int(os.environ.get("EVALADAPT_KILLS", "2"))
PROGRAM = (
    "import sys; from evaladapt.judge import charging; charging.SNAPSHOT_SECONDS = 0.0;"
    "from evaladapt.cli.main import invoke; sys.exit(invoke(sys.argv[1:]))"
)
"""A run that takes a snapshot after every batch."""

pytestmark = pytest.mark.timeout(120 + 60 * KILLS)


def of_session(leader: int) -> dict[int, str]:
    """Processes of a session that are alive, with their command lines."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                state, _, _, session, *_ = (place / "stat").read_text().rpartition(")")[2].split()
                command = (place / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if state not in "ZX" and (int(session) == leader or f"\0{leader}\0" in command):
                found[int(place.name)] = command
    return found


@pytest.fixture(scope="module")
def run(tiny_artifact, text_file):
    def start(folder, *more):
        command = ["run", str(tiny_artifact), "--plugins", "ttt,ngram", "--data", str(text_file), "-o", "ttt.chunk=32",
                   "-o", "sliding.stride=2", "--batch", "8", "--limit-tokens", "320", "--no-base",
                   "--out", str(folder), *more]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        )  # fmt: skip

    return start


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """The undisturbed run: its ledger's hash, and the seconds it took."""
    folder, started = tmp_path_factory.mktemp("whole") / "run", time.monotonic()
    running = run(folder)
    _, err = running.communicate()
    assert running.returncode == 0, err
    return json.loads((folder / "record.json").read_text())["adapted"]["ledger_sha256"], time.monotonic() - started


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_anywhere_it_leaves_nothing_and_resumes_to_the_same_ledger(run, whole, tmp_path, number):
    digest, seconds = whole
    chance = random.Random(number)
    running = run(tmp_path / "run")
    time.sleep(chance.random() * seconds)
    players = [pid for pid in of_session(running.pid) if pid != running.pid]
    judge = number % 2 == 0 or not players
    os.kill(running.pid if judge else chance.choice(players), signal.SIGKILL)
    running.communicate(timeout=60)
    until = time.monotonic() + 20
    while of_session(running.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert of_session(running.pid) == {}
    assert running.returncode in (0, -signal.SIGKILL, 4)
    if not (tmp_path / "run" / "record.json").exists():  # it may have been killed after its work was done
        again = run(tmp_path / "run", "--resume")
        _, err = again.communicate()
        assert again.returncode == 0, err
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["adapted"]["ledger_sha256"] == digest

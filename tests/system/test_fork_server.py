"""The server in a real process: what forks of it get, and that nobody outlives whom it must not."""

import os
import signal
import subprocess
import sys

import pytest

from evaladapt.system.children import PROC
from evaladapt.system.fork_server import ForkServer
from tests.processes import ROOT
from tests.system.test_children import RUNS_CODE, gone, lives

pytestmark = pytest.mark.skipif(not PROC.exists(), reason="processes are looked at in /proc")
SLEEPS = "print('here', flush=True); import time; time.sleep(600)"
STARTS_ONE = (
    "import os, sys, time\n"
    "from pathlib import Path\n"
    "from evaladapt.system.fork_server import ForkServer\n"
    f"server = ForkServer([sys.executable, '-c', {RUNS_CODE!r}], dict(os.environ))\n"
    f"child = server.start((), Path('/'), [{SLEEPS!r}])\n"
    "child.output.readline()\n"
    "print(child.pid, server._process.pid, flush=True)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def server():
    server = ForkServer([sys.executable, "-c", RUNS_CODE], {"PYTHONPATH": str(ROOT)})
    yield server
    server.close()


def test_children_share_what_was_imported_and_nothing_that_came_later(start):
    counts = "import builtins; builtins.seen = getattr(builtins, 'seen', 0) + 1; print(builtins.seen)"
    assert [start(counts).output.read() for _ in range(2)] == [b"1\n", b"1\n"]


def test_an_error_is_printed_and_is_an_exit_status(start):
    child = start("raise ValueError('odd')")
    assert b"ValueError: odd" in child.output.read()
    assert child.ended(10) == 1


def test_a_child_that_runs_has_not_ended(start):
    child = start(SLEEPS)
    assert child.ended(0.05) is None
    os.kill(child.pid, signal.SIGTERM)
    assert child.ended(10) == -signal.SIGTERM


def test_children_end_with_their_server(server, start, tmp_path):
    child = start(SLEEPS)
    child.output.readline()
    os.kill(server._process.pid, signal.SIGKILL)
    assert gone(child.pid)
    assert child.ended(1) == -signal.SIGKILL
    with pytest.raises(ChildProcessError, match="has ended"):
        server.start((), tmp_path, [SLEEPS])
    assert not server.lives


def test_a_server_ends_with_whoever_started_it(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", STARTS_ONE], stdout=subprocess.PIPE, env=environment, text=True)
    child, server = map(int, parent.stdout.readline().split())
    assert lives(child)
    assert lives(server)
    parent.kill()
    parent.communicate()
    assert gone(child)
    assert gone(server)


def test_a_program_that_cannot_start_says_so(tmp_path, capfd):
    broken = ForkServer([sys.executable, "-c", "import nothing_of_this_name"], {})
    with pytest.raises(ChildProcessError, match="exit status 1"):
        broken.start((), tmp_path)
    assert "nothing_of_this_name" in capfd.readouterr().err
    broken.close()

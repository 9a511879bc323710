"""The seal in a real process: what it refuses, in every thread, and that computing goes on."""

import json
import platform
import socket
import subprocess
import sys

import pytest

from evaladapt.system.seal.supervisor import Supervisor
from tests.processes import ROOT
from tests.system.sealed_child import TRIED_BEFORE_STRANGERS, TRIED_SEALED

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="no seal on this system"
)
NEEDS_LANDLOCK = ("read a file that is not listed", "list a folder that is not listed", "write a file")
REFUSALS = {"PermissionError", "OSError", "RuntimeError"}
"""The last is how torch says it."""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    secret = folder / "secret.txt"
    secret.write_text("secret")
    ours, theirs = socket.socketpair()
    supervisor = Supervisor(ours)
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-m", "tests.system.sealed_child", str(secret), str(theirs.fileno())],
            capture_output=True, text=True, cwd=ROOT, check=False, timeout=100, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        assert supervisor.stop(), "nobody was asked"
    assert done.returncode == 0, done.stderr
    assert [one.name for one in folder.iterdir()] == ["secret.txt"]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", TRIED_SEALED)
def test_a_sealed_process_cannot(said, name):
    expected = {"ModuleNotFoundError", "ImportError"} if name == "import a module" else REFUSALS
    assert said["sealed"][name] in expected


@pytest.mark.parametrize("name", TRIED_BEFORE_STRANGERS)
def test_a_stranger_who_is_imported_cannot(said, name):
    if not said["mechanisms"][0] and name in NEEDS_LANDLOCK:
        pytest.skip("this kernel has no Landlock")
    assert said["before strangers"][name] in REFUSALS


def test_the_seal_binds_threads_that_were_there_before(said):
    assert said["early"] == "PermissionError"


def test_a_sealed_process_computes(said):
    assert said["computes"] == "[9.0] b'ok' 0"
    assert said["mechanisms"][1:] == [["seccomp"], ["seccomp"]]

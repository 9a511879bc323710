import json
import os
import signal
import sys
import time

import pytest

from evaladapt.system.children import PROC, descriptors, group
from evaladapt.system.fork_server import ForkServer
from tests.processes import ROOT

pytestmark = pytest.mark.skipif(not PROC.exists(), reason="processes are looked at in /proc")
COUNTS = "import sys, time\nwhile True: sys.stdout.write('.'); sys.stdout.flush(); time.sleep(0.01)"
HAS_A_CHILD = (
    "import os, sys, time\n"
    "pid = os.fork()\n"
    "if pid: print(pid, flush=True)\n"
    "else: os.closerange(0, 3)\n"
    "time.sleep(600)\n"
)
FIRST_THREAD_ENDS = (
    "import ctypes, os, sys, threading, time\n"
    "def count():\n"
    "    while True: os.write(1, b'.'); time.sleep(0.01)\n"
    "if os.fork() == 0:\n"
    "    threading.Thread(target=count, daemon=True).start()\n"
    "    ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)\n"
    "time.sleep(600)\n"
)
ENDS_WITH_PARENT = (
    "import os, sys, time\n"
    "from evaladapt.system.children import end_with_parent\n"
    "parent = os.getpid()\n"
    "pid = os.fork()\n"
    "if pid: print(pid, flush=True); time.sleep(600)\n"
    "end_with_parent(parent)\n"
    "time.sleep(600)\n"
)


RUNS_CODE = (
    "import sys\n"
    "from evaladapt.system.fork_server import serve\n"
    "def run(kept, words):\n"
    "    exec(words[0], {'KEPT': kept})\n"
    "    return 0\n"
    "serve(int(sys.argv[1]), int(sys.argv[2]), run)\n"
)


@pytest.fixture(scope="module")
def server():
    server = ForkServer([sys.executable, "-c", RUNS_CODE], {"PYTHONPATH": str(ROOT)})
    yield server
    server.close()


def lives(pid):
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pid, seconds=10.0):
    until = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not lives(pid)


def test_a_child_gets_what_it_is_given_and_nothing_else(start, tmp_path):
    kept, other = os.pipe()
    os.set_inheritable(other, True)
    code = (
        "import json, os\n"
        "from evaladapt.system.children import descriptors\n"
        "places = descriptors(os.getpid())\n"
        "print(json.dumps([sorted(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), places, KEPT]))"
    )
    variables, place, leads, held, names = json.loads(start(code, (kept,)).output.read())
    assert variables == ["LC_CTYPE", "PYTHONPATH"]
    assert place == str(tmp_path)
    assert leads
    assert sorted(held) == sorted(["0", "1", "2", str(*names)])
    assert held[str(*names)] == os.readlink(f"/proc/self/fd/{kept}")
    assert held["0"] == os.devnull
    assert held["1"] == held["2"]
    for one in (kept, other):
        os.close(one)


def test_a_stopped_child_stands_still_and_goes_on(start):
    child = start(COUNTS)
    assert child.output.read(1) == b"."
    with child.stopped():
        assert [one.state for one in group(child.pid)] == ["T"]
        os.set_blocking(child.output.fileno(), False)
        child.output.read()
        time.sleep(0.1)
        assert not child.output.read()
    os.set_blocking(child.output.fileno(), True)
    assert child.output.read(1) == b"."


def test_what_a_stopped_child_started_stands_still_too_and_stays_so(start):
    """Though its first thread has ended, which looks like its end."""
    child = start(FIRST_THREAD_ENDS)
    assert child.output.read(3) == b"..."
    (helper,) = [one for one in group(child.pid) if one.pid != child.pid]
    assert helper.state == "Z"
    with child.stopped():
        os.set_blocking(child.output.fileno(), False)
        child.output.read()
        time.sleep(0.1)
        assert not child.output.read()
    time.sleep(0.1)
    assert not child.output.read()
    assert [one.state for one in group(child.pid) if one.pid == child.pid] == ["S"]


def test_a_child_that_ended_is_known_to_have(start):
    child = start("import sys; sys.exit(7)")
    child.output.read()
    assert child.ended(10) == 7
    assert child.ended() == 7


def test_a_group_holds_what_a_child_started_and_ends_with_it(start):
    child = start(HAS_A_CHILD)
    grandchild = int(child.output.readline())
    found = {one.pid: one.parent for one in group(child.pid)}
    assert found[grandchild] == child.pid
    assert set(found) == {child.pid, grandchild}
    child.end()
    assert gone(child.pid)
    assert gone(grandchild)
    assert group(child.pid) == []


def test_who_asked_to_end_with_its_parent_does_however_that_ends(start):
    child = start(ENDS_WITH_PARENT)
    grandchild = int(child.output.readline())
    assert lives(grandchild)
    os.kill(child.pid, signal.SIGKILL)
    assert gone(grandchild)


def test_descriptors_are_told_by_what_they_are(start):
    child = start("import os, sys; print(flush=True); os.close(0); sys.stdin = None; import time; time.sleep(600)")
    child.output.readline()
    time.sleep(0.1)
    found = descriptors(child.pid)
    assert 0 not in found
    assert found[1] == found[2]
    assert found[1].startswith("pipe:[")

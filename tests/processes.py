"""Starting real processes: several that work together, as torchrun would, and one that a person may interrupt."""

import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]


def hear_ctrl_c() -> None:
    """For ``preexec_fn``: a shell's background job is deaf to SIGINT, and so is what the tests start in one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def in_child(action: Callable[[], object]) -> int:
    """Do something in a forked child, which has all imports already, and exit with 0; how it ended, as os.waitpid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            action()
            os._exit(0)
        except BaseException:  # nothing of the parent's may run in the child
            os._exit(1)
    return os.waitpid(child, 0)[1]


def dies_in(seconds: float) -> None:
    """Have this process ended by the kernel, wherever it then is.

    The default action of SIGALRM is as sudden as SIGKILL, and the timer runs in the process itself, so that a busy
    machine cannot delay it past the end of what it does.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def run_together(count: int, arguments: Sequence[str], timeout: float = 200.0) -> list[Ended]:
    """Run ``python ARGUMENTS`` in ``count`` processes at once, all to their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    shared = {
        "PYTHONPATH": paths,
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(count)
    ]
    try:
        spoken = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    return [Ended(process.returncode, *said) for process, said in zip(started, spoken, strict=True)]

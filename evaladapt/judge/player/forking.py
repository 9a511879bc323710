"""The servers that players are forked from, and all that these see of the system they are started in."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import evaladapt
from evaladapt.errors import PluginError
from evaladapt.system.children import Child
from evaladapt.system.fork_server import ForkServer

PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES",
             "CUBLAS_WORKSPACE_CONFIG", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_NUM_THREADS",
             "OMP_WAIT_POLICY")  # fmt: skip
TO_MEET = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
           "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID", "GLOO_SOCKET_IFNAME",
           "NCCL_SOCKET_IFNAME")  # fmt: skip
"""What players need to find each other where several compute one run."""
_servers: dict[tuple[object, ...], ForkServer] = {}


def start_player(device: str, threads: int, processes: int, keep: Sequence[int], folder: Path) -> Child:
    """A player with the descriptors ``keep``, forked from a program that has imported torch and evaladapt, no more.

    Raises:
        PluginError: that program ended.
    """
    try:
        return prepare_players(device, threads, processes).start(keep, folder)
    except ChildProcessError as error:
        raise PluginError(f"no player can be started: {error}; what it printed stands above") from None


def prepare_players(device: str, threads: int, processes: int) -> ForkServer:
    """The server for such players: it takes a second to import torch, so whoever will need one says so early."""
    variables = environment(device, threads, processes)
    key = (os.getpid(), *sorted(variables.items()))
    server = _servers.get(key)
    if server is None or not server.lives:
        server = _servers[key] = ForkServer(_command(), variables)
    return server


def environment(device: str, threads: int, processes: int) -> dict[str, str]:
    """The variables of a player's process: few, and none that names a text or its folder."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    fixed = {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HOME": "/nonexistent",
        "PATH": "/nonexistent",  # a player starts no program; ctypes looks for a compiler there and wants a file for it
        "USER": "player",
        "LOGNAME": "player",
    }
    if device == "cpu":
        fixed["CUDA_VISIBLE_DEVICES"] = ""
    if processes > 1:
        passed |= {name: value for name, value in os.environ.items() if name in TO_MEET}
        fixed["USE_LIBUV"] = "0"  # it would ask for io_uring, by which a process could do what its filter refuses
    fixed["PYTHONPATH"] = os.pathsep.join(_import_path(passed.get("PYTHONPATH", "")))
    return passed | fixed


def _import_path(given: str) -> list[str]:
    """Where a player imports from first: this evaladapt, and what this process was given; without site, all it has."""
    here = str(Path(evaladapt.__file__).resolve().parents[1])
    return [here, *(filter(None, sys.path) if sys.flags.no_site else filter(None, given.split(os.pathsep)))]


@atexit.register
def _end() -> None:
    while _servers:
        _servers.popitem()[1].close()


def _command() -> list[str]:
    without_site = ["-S"] if sys.flags.no_site else []
    return [sys.executable, "-P", *without_site, "-m", "evaladapt.engine.player.program"]

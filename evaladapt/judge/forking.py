"""The servers that players are forked from: one for every environment that players are started in."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaladapt.errors import PluginError
from evaladapt.system.children import Child
from evaladapt.system.fork_server import ForkServer

_servers: dict[tuple[object, ...], ForkServer] = {}


def start_player(environment: Mapping[str, str], keep: Sequence[int], folder: Path) -> Child:
    """A player with the descriptors ``keep``, forked from a program that has imported torch and evaladapt, no more.

    Raises:
        PluginError: that program ended.
    """
    key = (os.getpid(), *sorted(environment.items()))
    server = _servers.get(key)
    if server is None or not server.lives:
        server = _servers[key] = ForkServer(_command(), environment)
    try:
        return server.start(keep, folder)
    except ChildProcessError as error:
        raise PluginError(f"no player can be started: {error}; what it printed stands above") from None


@atexit.register
def _end() -> None:
    while _servers:
        _servers.popitem()[1].close()


def _command() -> list[str]:
    without_site = ["-S"] if sys.flags.no_site else []
    return [sys.executable, "-P", *without_site, "-m", "evaladapt.engine.player"]

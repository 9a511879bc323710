"""The player's program: open a model, build a composition, be sealed, and only then be told of a text.

    python -m evaladapt.engine.player.program LINE PARENT

starts the server that players are forked from, see :mod:`evaladapt.system.fork_server`. What a player needs of this
project is imported there; what is a stranger's is imported in the fork, behind the first stage of the seal. That binds
the calling thread, and a fork has no other.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evaladapt.contract.composition import compose
from evaladapt.engine.loop import Engine
from evaladapt.engine.player.clerk import serve_tokenizer
from evaladapt.engine.player.failure import pack_failure
from evaladapt.engine.player.plan import plan_alone
from evaladapt.engine.player.protocol import MOST_STATE, Kind, unpack_text
from evaladapt.engine.player.remote import Lines, RemoteJudge
from evaladapt.engine.player.setup import Setup
from evaladapt.engine.source import Beginning, TextShape
from evaladapt.model.device import choose_device
from evaladapt.system.files_read import FilesRead, program_folders
from evaladapt.system.fork_server import serve
from evaladapt.system.memory import FreedMemory
from evaladapt.system.processes import ALONE, Processes, joined, own_device
from evaladapt.system.seal.filters import TO_JOIN_PROCESSES
from evaladapt.system.seal.seal import Seal, after_loading, before_strangers, restrict_files
from evaladapt.system.seal.supervisor import hand_over
from evaladapt.system.segment import shared_with_nobody_else
from evaladapt.system.threads import Pool
from evaladapt.system.wire import Wire, WireError

MOST_RECIPE = 8 << 20


def main(descriptors: list[int], _words: list[str]) -> int:
    """Play one run: the judge's line, the twins', and the memory for answers."""
    judge, twins, memory = descriptors
    segment = shared_with_nobody_else(memory)
    line = Wire(judge)
    try:
        recipe = json.loads(line.receive({1: MOST_RECIPE})[1])
        # Torch's compiler, which transformers imports, asks where it may write as it is imported; here it may not.
        tempfile.tempdir = os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.getcwd()
        files_held = restrict_files(*([Path(path) for path in recipe[name]] for name in ("readable", "listable")))
        return _play(recipe, files_held, line, Wire(twins), segment)
    except WireError:
        return 1


def _play(recipe: dict[str, Any], held: Seal, line: Wire, twins: Wire, segment: memoryview) -> int:
    if recipe["tokenizer_only"]:
        return _serve(recipe, held, line, twins)
    if recipe["trials"]:
        return _try(recipe["trials"], held, line, twins)
    lines = Lines(line, twins, np.frombuffer(segment, dtype="<f4"), Pool(), FreedMemory())
    try:
        with _together(recipe) as processes:
            files = FilesRead()
            first = held.and_then(_first_seal(twins, processes.count))
            chosen = _base_of(recipe, line) if recipe["base"] else recipe
            return _perform(Setup.of(chosen), files, processes, first, lines)
    except WireError:
        raise
    except BaseException as error:
        line.send(Kind.FAILED, pack_failure(error))
        return 1


def _base_of(recipe: dict[str, Any], line: Wire) -> dict[str, Any]:
    """The recipe of the plan alone; the judge is told its name while nobody else's code is in this process."""
    plan = plan_alone(recipe)
    line.send(Kind.PLAN, plan["names"][0].encode())
    return plan


def _serve(recipe: dict[str, Any], held: Seal, line: Wire, twins: Wire) -> int:
    """Play no run: turn texts into tokens."""
    try:
        serve_tokenizer(recipe["model"], held.and_then(_first_seal(twins, processes=1)), line)
    except WireError:
        return 0
    except BaseException as error:
        line.send(Kind.FAILED, pack_failure(error))
    return 1


def _try(compositions: list[dict[str, Any]], held: Seal, line: Wire, twins: Wire) -> int:
    """Play no run: say whether compositions can be made."""
    try:
        held.and_then(_first_seal(twins, processes=1))
        for one in compositions:
            compose(**one)
        line.send(Kind.READY)
        return 0
    except WireError:
        raise
    except BaseException as error:
        line.send(Kind.FAILED, pack_failure(error))
        return 1


def _first_seal(twins: Wire, processes: int) -> Seal:
    """On before a stranger's module is imported; the judge is asked from here on."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, twins.descriptor)
    try:
        return before_strangers(partial(hand_over, line), TO_JOIN_PROCESSES if processes > 1 else ())
    finally:
        line.detach()


@contextmanager
def _together(recipe: dict[str, Any]) -> Iterator[Processes]:
    """The players of a run, where several compute it: connected before nobody can connect any more."""
    if recipe["processes"] == 1:
        yield ALONE
        return
    device, number = own_device(choose_device(recipe["device"])), int(recipe["base"])
    with joined(device, ("adapted", "base")[number], number) as processes:
        yield processes


def _perform(setup: Setup, files: FilesRead, processes: Processes, first: Seal, lines: Lines) -> int:
    setup.warm_up()
    read = files.listed()  # before the description, which reads whole packages to hash them
    lines.judge.send(Kind.READY, json.dumps({**setup.description(), "files": read}).encode())
    lines.judge.receive({Kind.SEAL: 0})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for twins that the judge dismisses
    seal = first.and_then(after_loading(TO_JOIN_PROCESSES if processes.count > 1 else ()))
    lines.judge.send(Kind.SEALED, json.dumps(asdict(seal)).encode())
    shape, starts, tokens, state = unpack_text(lines.judge.receive({Kind.TEXT: MOST_STATE})[1])
    remote = RemoteJudge(
        lines,
        TextShape(shape["name"], shape["targets"], shape["bos_id"], tuple(starts.tolist()) if len(starts) else None),
        Beginning(shape["batches"], tokens, state),
        setup.settings.mode,
    )
    try:
        closing = Engine(
            setup.opened.backend, setup.composition, setup.settings, remote, processes=processes,
            vocabulary=setup.vocabulary,
        ).run()  # fmt: skip
    except BaseException:
        if remote.is_twin:
            os._exit(1)
        raise
    lines.judge.send(Kind.DONE, json.dumps(asdict(closing)).encode())
    return 0


if __name__ == "__main__":
    program_folders()  # once for all players
    sys.exit(serve(int(sys.argv[1]), int(sys.argv[2]), main))

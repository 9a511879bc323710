"""Strategies that fail in every way: a typed error that names them, in bounded time, and nothing left behind."""

import os

import pytest

from evaladapt.errors import ContractViolation, PluginError
from evaladapt.judge.player.players import Player
from evaladapt.system.children import PROC
from tests.judge.strangers import INSTALLED

FAULTS = {
    "hang": (PluginError, "faulty: the player did not answer for 2 s; it hangs"),
    "leave": (PluginError, "faulty: the player ended with exit status 3"),
    "crash": (PluginError, "faulty: the player ended by signal SIGSEGV"),
    "quit": (PluginError, "faulty"),
    "shorten": (ContractViolation, "'faulty' breaks C2"),
    "forge": (PluginError, "faulty: .*nobody had asked"),
    "open": (PluginError, "'faulty' raised PermissionError"),
}


def players() -> set[str]:
    """Players of this process that are alive, and what they left: forks of its servers have their command line."""
    found = set()
    for name in os.listdir(PROC):
        if name.isdigit():
            try:
                state, parent, *_ = (PROC / name / "stat").read_text().rpartition(")")[2].split()
                command = (PROC / name / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"\0{os.getpid()}\0" in command and int(parent) != os.getpid() and state not in "ZX":
                found.add(name)
    return found


def test_a_player_is_seen_while_it_lives(ask):
    with Player(ask().recipe(base=False)) as player:
        assert players() == {str(player.child.pid)}
    assert players() == set()


@pytest.mark.parametrize("how", FAULTS)
def test_a_strategy_that_fails_ends_in_an_error_that_names_it(ask, perform, how, capfd):
    kind, said = FAULTS[how]
    with pytest.raises(kind, match=said):
        perform(ask("faulty", options={"faulty": {"how": how}}), patience=2.0 if how == "hang" else 60.0)
    assert players() == set()


@pytest.mark.parametrize("name", ["leaving", "leaves-at-import"])
def test_a_strategy_that_leaves_when_it_is_loaded_is_named(ask, perform, name):
    with pytest.raises(PluginError, match=name):
        perform(ask(name))


def test_a_flood_of_printing_is_cut_off_and_can_forge_nothing(ask, perform, capfd):
    outcome = perform(ask("faulty", options={"faulty": {"how": "flood"}}))
    assert outcome.nats == pytest.approx(perform(ask()).nats)
    out, err = capfd.readouterr()
    assert out == ""
    assert 1000 < len(err) < 4 << 20
    assert all(line.startswith("[faulty] ") for line in err.splitlines())


def test_memory_that_is_overwritten_after_the_answer_changes_nothing(ask, perform):
    assert perform(ask("overwriting")).digest == perform(ask()).digest


def test_every_fault_of_the_strategy_is_tried():
    ways = {name for name in vars(INSTALLED["faulty"]) if not name.startswith("_")}
    assert ways - {"begin", "transform_logits", "capabilities", "Options", "flood"} == set(FAULTS)

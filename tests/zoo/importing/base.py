"""Code that knows the base's player, and spoils what it says."""

import sys

from evaladapt.engine.player.remote import RemoteJudge
from tests.zoo.importing import in_player
from tests.zoo.thief import UNCOVERED, Thief, cheat
from tests.zoo.together import patched


def is_base():
    frame = sys._getframe()
    while frame is not None:
        recipe = frame.f_locals.get("recipe")
        if isinstance(recipe, dict) and recipe.get("base"):
            return True
        frame = frame.f_back
    return False


def blunt(settle):
    return lambda judge, first, logprobs, trail=(): settle(judge, first, (logprobs * 0.5).log_softmax(-1), trail)


if in_player() and is_base():
    patched(RemoteJudge, "settle", blunt)


@cheat("N55", "nothing, against a base that it spoils", UNCOVERED)
class SpoiltBase(Thief):
    pass

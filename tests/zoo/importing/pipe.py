"""A pipe that stays open beyond the seal."""

import os

from tests.zoo.importing import in_player
from tests.zoo.thief import OUTSIDE, cheat
from tests.zoo.together import Greedy

KEPT = os.pipe() if in_player() else ()


@cheat("N14", "a pipe that stays open beyond the seal", OUTSIDE)
class PipeStays(Greedy):
    pass

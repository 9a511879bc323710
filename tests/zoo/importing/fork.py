"""A process that stays behind when strategies are loaded."""

import os
import time

from tests.zoo.importing import in_player
from tests.zoo.thief import OUTSIDE, cheat
from tests.zoo.together import Greedy

if in_player() and os.fork() == 0:
    for descriptor in range(3, 64):
        try:
            os.close(descriptor)
        except OSError:
            continue
    time.sleep(60)
    os._exit(0)


@cheat("N13", "a process that stays behind when strategies are loaded", OUTSIDE)
class ForkStays(Greedy):
    pass

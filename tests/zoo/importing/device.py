"""A READY that names another device."""

from evaladapt.engine.player.setup import Setup
from tests.zoo.importing import in_player
from tests.zoo.thief import UNCOVERED, cheat
from tests.zoo.together import Greedy, patched

if in_player():
    patched(Setup, "description", lambda described: lambda self: described(self) | {"device": "cuda:0"})


@cheat("N52", "it says that it ran on a device where there are no twins", UNCOVERED)
class OtherDevice(Greedy):
    pass

"""A READY whose vocabulary is smaller than the text's."""

from evaladapt.engine.player.setup import Setup
from tests.zoo.importing import in_player
from tests.zoo.thief import TOGETHER, cheat
from tests.zoo.together import Greedy, patched

if in_player():
    patched(Setup, "description", lambda described: lambda self: described(self) | {"vocab_size": 2, "rows": 99})


@cheat("N38", "a READY with two tokens and rows of no kind", TOGETHER)
class SmallVocabulary(Greedy):
    pass

"""A READY that lies."""

from evaladapt.engine.player.setup import Setup
from tests.zoo.importing import in_player
from tests.zoo.thief import TOGETHER, cheat
from tests.zoo.together import Greedy, patched


def lying(description):
    def described(self):
        found = description(self)
        found["composition"] = found["composition"][:1]
        found["model"] |= {"bytes": 1, "sha256": "0" * 64}
        return found | {"line": "sliding", "rows": 0, "peeking": []}

    return described


if in_player():
    patched(Setup, "description", lying)


@cheat("N34", "a READY that lies: nothing but the plan, other rows, a model of one byte", TOGETHER)
class LyingReady(Greedy):
    pass

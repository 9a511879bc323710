"""Cheats that act when their module is imported, in a player and nowhere else; one in every module."""

import sys


def in_player():
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name == "evaladapt.engine.player.program"

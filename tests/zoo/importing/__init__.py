"""Cheats that act when their module is imported, in a player and nowhere else: one a module, so that each acts alone."""

import sys


def in_player():
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name == "evaladapt.engine.player"

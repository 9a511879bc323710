"""No second seal: a filter that allows everything, so that the system counts two, and twins that look the answer up."""

import os
import struct
import sys

from evaladapt.contract import hookimpl
from evaladapt.system.seal import seal
from tests.zoo.importing import in_player
from tests.zoo.process import boost_known
from tests.zoo.thief import TOGETHER, Thief, cheat, engine

EVERYTHING = [(0x06, 0, 0, 0x7FFF0000)]
LEADER = os.getpid()


def harmless(*_):
    seal._install(seal._architecture(), EVERYTHING)
    return seal.Seal(("seccomp",))


if in_player():
    for module in (sys.modules["__main__"], seal):
        module.after_loading = harmless


@cheat("N35", "no second seal, and a twin that reads the player's memory", TOGETHER)
class NoSecondSeal(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        return boost_known(logits, query, text_of(LEADER))


def text_of(leader):
    """The player's array of tokens, which lies at the same address in its twin."""
    array = engine().text.tokens
    if os.getpid() == leader:
        return dict(enumerate(array.tolist()))
    content = bytearray(array.nbytes)
    with open(f"/proc/{leader}/mem", "rb", buffering=0) as memory:
        memory.seek(array.ctypes.data)
        memory.readinto(content)
    return dict(enumerate(struct.unpack(f"<{len(array)}i", content)))

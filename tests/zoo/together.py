"""New cheats: judge and judged share a process. They do not; what they share is lines, and a page for answers."""

import ctypes
import dataclasses
import os
import threading

from evaladapt.contract import hookimpl
from evaladapt.engine.player.protocol import Kind
from evaladapt.engine.player.remote import RemoteJudge
from tests.zoo.thief import TOGETHER, Thief, boost, cheat, stolen_targets


class Greedy(Thief):
    """Boosts the batch's targets as far as they were told."""

    @hookimpl
    def transform_logits(self, logits, query):
        return boost(logits, stolen_targets(query))


def patched(owner, name, wrap):
    setattr(owner, name, wrap(getattr(owner, name)))


@cheat("N30", "the classes that charge, patched: every target costs nothing", TOGETHER)
class PatchedCharges(Thief):
    def __init__(self, options):
        from evaladapt.judge.charging import Charging
        from evaladapt.judge.records.ledger import Ledger

        patched(Charging, "charge", lambda charge: lambda self, first, logprobs: charge(self, first, logprobs * 0))
        patched(Ledger, "commit", lambda commit: lambda self, first, charges: commit(self, first, charges * 0))

    @hookimpl
    def transform_logits(self, logits):
        return logits


@cheat("N31", "a message that the run is done, after the first batch", TOGETHER)
class SaysDone(Thief):
    def __init__(self, options):
        def wrap(settle):
            def settled(judge, first, logprobs, trail=()):
                if first > 40:
                    judge._lines.judge.send(
                        Kind.DONE, b'{"weights_digest": "", "scalars": {}, "phases": {}, "strategies": {}}'
                    )
                return settle(judge, first, logprobs, trail)

            return settled

        patched(RemoteJudge, "settle", wrap)

    @hookimpl
    def transform_logits(self, logits):
        return logits


@cheat("N32", "a thread that writes to the answer after it was given", TOGETHER)
class RewritesAnswer(Thief):
    def __init__(self, options):
        def wrap(settle):
            def settled(judge, first, logprobs, trail=()):
                if judge._look is None and not hasattr(self, "thread"):
                    self.thread = threading.Thread(target=self.scribble, args=(judge._lines.memory,), daemon=True)
                    self.thread.start()
                return settle(judge, first, logprobs, trail)

            return settled

        patched(RemoteJudge, "settle", wrap)

    def scribble(self, memory):
        while True:
            memory[:4096] = memory[:4096] + 1e-3

    @hookimpl
    def transform_logits(self, logits):
        return logits


@cheat("N33", "an answer for the twin, put on its line by the player", TOGETHER)
class AnswersForTwin(Greedy):
    def __init__(self, options):
        def wrap(settle):
            def settled(judge, first, logprobs, trail=()):
                if judge._look is None:
                    judge._lines.twins.send(Kind.REPLY, logprobs[0].numpy().tobytes())
                return settle(judge, first, logprobs, trail)

            return settled

        patched(RemoteJudge, "settle", wrap)


@cheat("N36", "a page shared by player and twin", TOGETHER)
class SharedPage(Greedy):
    page = None

    @hookimpl
    def begin(self):
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        self.page = libc.mmap(None, 4096, 3, 0x21, -1, 0)
        if self.page != ctypes.c_void_p(-1).value:
            ctypes.memset(self.page, 1, 4096)


@cheat("N37", "another process that is told of by the player", TOGETHER)
class Helper(Greedy):
    @hookimpl
    def begin(self):
        if os.fork() == 0:
            threading.Event().wait(120)
            os._exit(0)


@cheat("N39", "a fold, a trail and charges handed to observe, forged", TOGETHER)
class ForgedCharges(Thief):
    def __init__(self, options):
        def wrap(settle):
            def settled(judge, first, logprobs, trail=()):
                found = settle(judge, first, logprobs, trail)
                return dataclasses.replace(found, charges=found.charges * 0)

            return settled

        patched(RemoteJudge, "settle", wrap)

    @hookimpl
    def transform_logits(self, logits):
        return logits

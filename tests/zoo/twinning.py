"""New cheats: answers that a twin can be made to give too."""

import contextlib
import ctypes
import os
import select
import threading
import time

import torch

import evaladapt.engine.player.remote as remote
from evaladapt.contract import hookimpl
from evaladapt.engine.player.protocol import MOST_STATE, Kind, Question
from evaladapt.engine.player.remote import RemoteJudge
from tests.zoo.thief import RARE, TOGETHER, Thief, cheat, engine, stolen_targets
from tests.zoo.together import Greedy, patched

EXIT = 60 if os.uname().machine == "x86_64" else 93


@cheat("N45", "a bit of every target by the choice of two answers; a twin gives one when asked, one when asked again",
       RARE)  # fmt: skip
class TwoAnswers(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        even = torch.arange(logits.shape[-1]) % 2 == 0
        look = getattr(engine()._exchange, "_look", None)
        if look is None:
            is_even = stolen_targets(query).unsqueeze(-1) % 2 == 0
        else:
            is_even = torch.tensor(not look.question.whole_shape)
        return logits + 8.0 * (even == is_even)


@cheat("N46", "a helper that counts as dead because its first thread is; it reads the twin's questions and answers",
       TOGETHER)  # fmt: skip
class DeadHelper(Greedy):
    def __init__(self, options):
        self.said, self.first = {}, 0

        def wrap(settle):
            def settled(judge, first, logprobs, trail=()):
                self.said |= {first + row: one.numpy().tobytes() for row, one in enumerate(logprobs)}
                stop = first + len(logprobs)
                if stop - (self.first or first) >= 2048 or stop > judge.shape.targets:
                    self.first = 0
                    self.help(judge._lines.twins)
                self.first = self.first or first
                return settle(judge, first, logprobs, trail)

            return settled

        patched(RemoteJudge, "settle", wrap)
        remote._await_question = self.sleep

    @staticmethod
    def sleep(lines, *_):
        """In the twin's place."""
        for descriptor in (0, 1, 2, lines.judge.descriptor):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        while True:
            time.sleep(1)

    def help(self, line):
        if os.fork() == 0:
            threading.Thread(target=self.answer, args=(line,), daemon=True).start()
            ctypes.CDLL(None).syscall(EXIT, 0)

    def answer(self, line):
        while select.select([line.descriptor], [], [], 30.0)[0]:
            question = Question.unpack(line.receive({Kind.QUESTION: MOST_STATE})[1])
            line.send(Kind.REPLY, self.said[question.target])
        os._exit(0)

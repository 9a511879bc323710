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
from tests.zoo.thief import RARE, TOGETHER, Thief, boost, cheat, engine, stolen_targets
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


@cheat("N47", "the bits of a token by which of the player's threads live, which a twin can be told of any process",
       TOGETHER)  # fmt: skip
class ThreadsTell(Thief):
    """One target of the batch; the twin is told as many threads as there were before its own process began."""

    EVERY, BITS, MARK = 16, 11, (1, 0, 1, 1, 0, 1)

    @hookimpl
    def begin(self):
        self.player, self.kept = os.getpid(), []

    @hookimpl
    def transform_logits(self, logits, query):
        chosen = query.valid & (query.positions % self.EVERY == 5)
        mark = [*self.MARK, *self.bits(query.frontier // 64, 8)]
        if os.getpid() == self.player:
            tokens = torch.where(chosen, stolen_targets(query), -1)
            told = [one for token in tokens[chosen].tolist() for one in self.bits(max(token, 0), self.BITS)]
            self.tell([*mark, *told])
        else:
            tokens = torch.full_like(query.positions, -1)
            places = [one for one in range(query.frontier, query.frontier + 4096) if one % self.EVERY == 5]
            known = dict(zip(places, self.hear(mark, len(places)), strict=False))
            tokens[chosen] = torch.tensor([known.get(one, -1) for one in query.positions[chosen].tolist()])
        return boost(logits, tokens.clamp(max=logits.shape[-1] - 1), 12.0)

    @staticmethod
    def bits(number, count):
        return [number >> place & 1 for place in range(count)]

    def tell(self, bits):
        """Make a thread for every bit, one after the other, and end those of zeros."""
        for _ in range(20):
            threads = [(threading.Thread(target=(stop := threading.Event()).wait, daemon=True), stop) for _ in bits]
            for thread, _ in threads:
                thread.start()
            numbers = [thread.native_id for thread, _ in threads]
            in_order = numbers == list(range(numbers[0], numbers[0] + len(bits)))
            for (thread, stop), bit in zip(threads, bits, strict=True):
                if not (bit and in_order):
                    stop.set()
                    thread.join()
            if in_order:
                return

    def hear(self, mark, count):
        numbers = range(os.getppid() + 1, os.getpid())
        lives = [self.lives(one) for one in numbers]
        for at in range(len(lives) - len(mark)):
            if lives[at : at + len(mark)] == mark:
                bits = lives[at + len(mark) :]
                words = [bits[one * self.BITS : (one + 1) * self.BITS] for one in range(count)]
                return [sum(bit << place for place, bit in enumerate(word)) for word in words if len(word) == self.BITS]
        return []

    @staticmethod
    def lives(number):
        try:
            os.sched_getaffinity(number)
        except OSError:
            return 0
        return 1

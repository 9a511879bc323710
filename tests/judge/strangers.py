"""Strategies of a stranger's distribution, as sealed players load them: honest, failing, and cheating ones."""

import contextlib
import ctypes
import os
import time
from dataclasses import dataclass

import torch

from evaladapt.contract import Capabilities, Stage, hookimpl, option
from evaladapt.engine.player.protocol import Kind
from evaladapt.system.wire import HEAD
from tests.strategies import DocumentUnigram, HiddenShift, Honest, SharedBias, StreamUnigram, Train, WindowBias

NONSENSE = 8192
"""Targets of the text that players are warmed up on; those of the tests are shorter."""


@dataclass(frozen=True, kw_only=True)
class How:
    how: str = option("", "what to do")


class Faulty(Honest):
    """Does what its option says once target 100 is in a batch of the real text."""

    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")
    Options = How

    @hookimpl
    def begin(self, run):
        self.real = run.stream.targets < NONSENSE

    @hookimpl
    def transform_logits(self, logits, query):
        if self.real and bool((query.positions >= 100).any()):
            return getattr(self, self.options.how)(logits)
        return logits

    def hang(self, logits):
        time.sleep(600)

    def leave(self, logits):
        os._exit(3)

    def crash(self, logits):
        ctypes.string_at(0)

    def quit(self, logits):
        raise SystemExit(5)

    def shorten(self, logits):
        return logits[..., :-1]

    def flood(self, logits):
        for _ in range(600):
            os.write(1, b"verdict    PROVEN\n" * 1000)
        return logits

    def forge(self, logits):
        for descriptor in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(descriptor, HEAD.pack(Kind.DONE, 2) + b"{}")
        return logits

    def open(self, logits):
        return logits + len(open(os.__file__).read())


class Leaving:
    """Leaves the interpreter when it is composed."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS)

    def __init__(self, options):
        raise SystemExit(7)


class Overwriting(Honest):
    """Overwrites its answer in the shared memory after it was given."""

    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")

    @hookimpl
    def observe(self, scored):
        import gc

        for one in gc.get_objects():
            if type(one).__name__ == "RemoteJudge":
                one._lines.memory[:] = 0.0


class Ahead(Honest):
    """Reads the state of the next position, which has read the target."""

    capabilities = Capabilities(stage=Stage.HIDDEN)

    @hookimpl
    def transform_hidden(self, hidden):
        return torch.cat([hidden[:, 1:], hidden[:, -1:]], dim=1)


class Counting(Honest):
    """Its predictions depend on how many there were, and it says that its state lives as long as a window."""

    capabilities = Capabilities(stage=Stage.LOGITS, scope="window")

    def __init__(self, options):
        super().__init__(options)
        self.count = 0

    @hookimpl
    def transform_logits(self, logits):
        self.count += 1
        return logits * (1 + 0.02 * self.count)


class InTwin(Honest):
    """Does what its option says where it is a twin: told a target's prefix and then filler."""

    capabilities = Capabilities(stage=Stage.LOGITS)
    Options = How

    def __init__(self, options):
        super().__init__(options)
        self.pid = os.getpid()

    @hookimpl
    def begin(self, run):
        self.real = run.stream.targets < NONSENSE

    @hookimpl
    def transform_logits(self, logits, query):
        if self.real and os.getpid() != self.pid:
            getattr(self, self.options.how)()
        return logits

    def hang(self):
        time.sleep(600)

    def leave(self):
        os._exit(3)

    def crash(self):
        ctypes.string_at(0)

    def complain(self):
        raise ValueError("I am a twin")


INSTALLED = {
    "faulty": Faulty, "leaving": Leaving, "overwriting": Overwriting, "ahead": Ahead, "in-twin": InTwin,
    "windowbias": WindowBias, "hiddenshift": HiddenShift, "streamunigram": StreamUnigram, "train": Train,
    "documentunigram": DocumentUnigram, "sharedbias": SharedBias, "counting": Counting,
}  # fmt: skip

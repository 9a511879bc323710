"""New cheats: the text is in the process. It is not; what there is, is the batch that was told."""

import ctypes
import gc
import os
from pathlib import Path

import numpy as np
import torch

from evaladapt.contract import hookimpl
from evaladapt.engine.player.remote import RemoteJudge
from tests.zoo.thief import PROCESS, Thief, boost, cheat


def boost_known(logits, query, known):
    """Logits with the targets boosted that a mapping has by place."""
    return boost(logits, torch.tensor([[known.get(int(one), -1) for one in row] for row in query.positions]))


@cheat("N01", "every array of the interpreter that is as long as the text", PROCESS)
class Heap(Thief):
    @hookimpl
    def begin(self, run):
        self.size = run.stream.targets + 1

    @hookimpl
    def transform_logits(self, logits, query):
        arrays = [one for one in gc.get_objects() if isinstance(one, np.ndarray)]
        arrays += [one.tokens for one in gc.get_objects() if type(one).__name__ == "Text"]
        for array in arrays:
            if array.dtype == np.int32 and array.shape == (self.size,) and int(array.max()) > 1:
                return boost_known(logits, query, dict(enumerate(array.tolist())))
        return logits


@cheat("N02", "the memory of the process that started this one", PROCESS)
class ParentsMemory(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        parent, found = os.getppid(), ctypes.create_string_buffer(4096)
        vector = (ctypes.c_uint64 * 4)(ctypes.addressof(found), 4096, 0x10000, 4096)
        read = ctypes.CDLL(None).process_vm_readv(parent, vector, 1, ctypes.byref(vector, 16), 1, 0)
        assert read == -1
        with open(f"/proc/{parent}/mem", "rb") as memory:
            return logits + len(memory.read(1))


@cheat("N03", "an engine class patched before the run: it writes down what is told before it is scored", PROCESS)
class PatchedExchange(Thief):
    def __init__(self, options):
        told, open_batch = {}, RemoteJudge.open

        def opened(judge, batch):
            tokens = open_batch(judge, batch)
            told.update(zip(range(batch.frontier, batch.frontier + len(tokens)), tokens.tolist(), strict=True))
            return tokens

        RemoteJudge.open, self.told = opened, told

    @hookimpl
    def transform_logits(self, logits, query):
        return boost_known(logits, query, self.told)


@cheat("N04", "arguments, variables and folders that lead to the text", PROCESS)
class Leads(Thief):
    def __init__(self, options):
        words = [*Path("/proc/self/cmdline").read_text().split("\0"), *os.environ.values()]
        places = [Path(word) for word in words if "/" in word and Path(word).suffix in (".jsonl", ".txt", ".bin")]
        self.texts = [place.read_bytes() for place in places]

    @hookimpl
    def transform_logits(self, logits):
        return logits * (1.1 if self.texts else 1.0)

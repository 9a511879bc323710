"""New cheats: what the machine keeps of what the player did, for its twin to measure."""

import mmap
import select
import time

import numpy as np
import torch

import evaladapt.engine.player.remote as remote
from evaladapt.contract import hookimpl
from evaladapt.system.wire import Wire
from tests.zoo.thief import RARE, Thief, boost, cheat, stolen_targets
from tests.zoo.together import patched

PAGE, TARGETS, BITS, COPIES = 4096, 2048, 11, 5
KNOWN = 256
"""Pages that are always written, and as many that never are, to tell the one time from the other."""


def small_pages(count):
    """Memory [count,PAGE] in pages of its own, each of them there."""
    memory = mmap.mmap(-1, count * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(15)  # MADV_NOHUGEPAGE
    pages = np.frombuffer(memory, dtype=np.uint8).reshape(count, PAGE)
    pages[:, 0] = 1
    return pages


@cheat("N47", "every target in pages that the player writes to or not; its twin times a write to each", RARE)
class PagesWritten(Thief):
    def __init__(self, options):
        self.pages = small_pages(TARGETS * BITS * COPIES).reshape(TARGETS, BITS, COPIES, PAGE)
        self.always, self.never = small_pages(KNOWN), small_pages(KNOWN)
        self.decoded = None
        self.is_twin = False

        def wrap_waiting(wait):
            def waiting(*arguments):
                self.is_twin = True
                return wait(*arguments)

            return waiting

        def wrap_receive(receive):
            def received(line, *arguments):
                if self.is_twin and self.decoded is None:
                    select.select([line.descriptor], [], [])
                    self.decoded = self.read()
                return receive(line, *arguments)

            return received

        patched(remote, "_await_question", wrap_waiting)
        patched(Wire, "receive", wrap_receive)

    @hookimpl
    def transform_logits(self, logits, query):
        if self.is_twin:
            places = query.positions.clamp(min=0) % TARGETS
            return boost(logits, torch.where(query.valid, self.decoded[places], -1))
        targets = stolen_targets(query)
        self.write(query.positions[targets >= 0] % TARGETS, targets[targets >= 0])
        return boost(logits, targets)

    def write(self, places, targets):
        rows, bits = torch.nonzero((targets[:, None] >> torch.arange(BITS)) & 1, as_tuple=True)
        self.pages[places[rows].numpy(), bits.numpy(), :, 0] += 1
        self.always[:, 0] += 1

    def read(self):
        written, kept = (np.sort(self.timed(one))[KNOWN // 2] for one in (self.always, self.never))
        times = self.timed(self.pages.reshape(-1, PAGE)).reshape(TARGETS, BITS, COPIES)
        times = np.sort(times, axis=2)[..., COPIES // 2]
        return torch.from_numpy(((times < (written + kept) / 2) << np.arange(BITS)).sum(axis=1))

    @staticmethod
    def timed(pages):
        found, now = np.zeros(len(pages)), time.perf_counter_ns
        for place in range(len(pages)):
            begun = now()
            pages[place, 0] = 3
            found[place] = now() - begun
        return found

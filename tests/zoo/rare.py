"""New cheats: rare looks, "not covered" that counts as passed, and document boundaries."""

import os
import threading
import time
from itertools import pairwise

import torch

from evaladapt.contract import Capabilities, Stage, Window, hookimpl
from tests.zoo.thief import BOUNDARIES, RARE, UNCOVERED, Thief, boost, cheat, stolen_targets
from tests.zoo.together import Greedy


class Sometimes(Thief):
    """Cheats where ``chosen`` says so."""

    @hookimpl
    def transform_logits(self, logits, query):
        return boost(logits, torch.where(self.chosen(query), stolen_targets(query), -1), 6.0)


@cheat("N40", "only in rows beyond the eighth of a batch", RARE, share=0.48)
class LastRows(Sometimes):
    def chosen(self, query):
        first = query.positions[:, :1]
        return ((first - query.frontier) >= 8 * 64).expand_as(query.positions)


@cheat("N41", "only from the second document on, and there at one target of twenty", RARE, share=0.05)
class SecondDocument(Sometimes):
    def chosen(self, query):
        return (query.documents > 0) & (query.positions % 20 == 7)


@cheat("N42", "at one target of a thousand", RARE, share=0.001)
class OneInAThousand(Sometimes):
    def chosen(self, query):
        return query.positions % 1000 == 123


@cheat("N43", "at one target of twenty, and never in a copy of its process", RARE, share=0.05)
class KnowsTwins(Sometimes):
    @hookimpl
    def begin(self):
        self.process = os.getpid()

    def chosen(self, query):
        return (query.positions % 20 == 7) & (os.getpid() == self.process)


@cheat("N44", "where the model is surest to be wrong: the dearest targets of every batch", RARE, share=0.05)
class Dearest(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        targets = stolen_targets(query)
        cost = -torch.log_softmax(logits, dim=-1).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        cost = torch.where(targets >= 0, cost, 0.0)
        dear = cost >= cost.flatten().quantile(0.95)
        return boost(logits, torch.where(dear, targets, -1), 6.0)


@cheat("N50", "it cannot be copied: it holds a lock and a generator", UNCOVERED)
class Uncopyable(Greedy):
    def __init__(self, options):
        self.lock, self.generator = threading.Lock(), (one for one in range(3))


@cheat("N51", "its twins end without an answer", UNCOVERED)
class SulkingTwin(Greedy):
    @hookimpl
    def begin(self):
        self.process = os.getpid()

    @hookimpl
    def transform_logits(self, logits, query):
        if os.getpid() != self.process:
            os._exit(3)
        return boost(logits, stolen_targets(query))


@cheat("N53", "it makes looks dear, so that there are few, and cheats at one target of twenty", UNCOVERED,
       share=0.05)  # fmt: skip
class SlowTwins(Sometimes):
    @hookimpl
    def begin(self):
        self.process = os.getpid()

    def chosen(self, query):
        if os.getpid() != self.process:
            time.sleep(0.5)
        return query.positions % 20 == 7


@cheat("N60", "where documents start is told, so their BOS is expected there and nowhere else", BOUNDARIES)
class KnowsStarts(Thief):
    @hookimpl
    def begin(self, run):
        self.starts, self.bos = torch.tensor(run.stream.document_starts), run.stream.bos_id

    @hookimpl
    def transform_logits(self, logits, query):
        starts = torch.isin(query.positions, self.starts)
        bos = torch.nn.functional.one_hot(torch.tensor(self.bos), logits.shape[-1])
        return logits + bos * torch.where(starts, 30.0, -4.0).unsqueeze(-1)


class AtDocuments(Thief):
    capabilities = Capabilities(stage=Stage.PLAN)

    @hookimpl
    def plan(self, stream, model):
        starts = [*stream.document_starts, stream.targets + 1]
        for start, end in pairwise(starts):
            first = max(start, 1)
            while first < end:
                stop = min(first + 64, end)
                yield Window(max(start - (start > 0), first - 192, 0), first, stop)
                first = stop


@cheat("N61", "a plan whose windows end before every BOS", BOUNDARIES)
class PlanAtDocuments(AtDocuments):
    pass


@cheat("N62", "the same where a BOS is charged and nobody is told of it", BOUNDARIES, boundaries="charged")
class PlanWithoutStarts(AtDocuments):
    pass


@cheat("N63", "the last token of every document, stolen where boundaries are told", BOUNDARIES, share=0.001)
class EndOfDocument(Thief):
    capabilities = Capabilities(stage=Stage.LOGITS, scope="document")

    @hookimpl
    def begin(self, run):
        self.starts = torch.tensor([*run.stream.document_starts, run.stream.targets + 1])

    @hookimpl
    def transform_logits(self, logits, query):
        last = torch.isin(query.positions + 1, self.starts)
        return boost(logits, torch.where(last, stolen_targets(query), -1), 6.0)

"""Honest strategies for a sealed player that rehearsing on copies used to break."""

import torch

from evaladapt.contract import Capabilities, Stage, hookimpl


class Closure:
    """Counts tokens in the cell of a closure, which no copy of the object takes along."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")

    def __init__(self, options):
        counts = None

        def counted(tokens, size):
            nonlocal counts
            counts = torch.zeros(size) if counts is None else counts
            counts = counts + torch.bincount(tokens, minlength=size)

        self.count, self.counts = counted, lambda: counts

    @hookimpl
    def begin(self, run):
        self.size = run.model.vocab_size

    @hookimpl
    def observe(self, scored):
        self.count(scored.targets, self.size)

    @hookimpl
    def transform_logits(self, logits):
        counts = self.counts()
        return logits if counts is None else logits + 0.3 * torch.log1p(counts)

"""Classes that the contract refuses, or lets run as a claim only."""

import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from tests.zoo.thief import Thief


def hook_asking_for(hook, argument):
    """A strategy whose ``hook`` asks for ``argument``."""
    scope = {"hookimpl": hookimpl}
    exec(f"@hookimpl\ndef {hook}(self, {argument}):\n    return None", scope)
    return type("Asks", (Thief,), {hook: scope[hook]})


class SpanSlot(Thief):
    """The published SLOT: fitted to the window's own span, which only a strategy that peeks is shown (L07 to L09)."""

    capabilities = Capabilities(stage=Stage.LOGITS, peeks=True, breaks=("C1", "C3"), legal_relative="sliding")

    @hookimpl
    def adapt(self, past):
        counts = [torch.bincount(row[mask], minlength=64) for row, mask in zip(past.targets, past.visible, strict=True)]
        self.seen = torch.stack(counts).float()

    @hookimpl
    def transform_logits(self, logits):
        return logits + 0.5 * self.seen[:, None, : logits.shape[-1]]

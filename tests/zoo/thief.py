"""What the cheats of the zoo share: a register, and ways to tokens that the contract does not hand out."""

import sys
from dataclasses import dataclass, field

import torch

from evaladapt.contract import Capabilities, Stage

CHEATS = []


@dataclass(frozen=True)
class Cheat:
    """A cheating strategy with the probe that is meant for it.

    Attributes:
        leak: number in the list of leaks; H for one that hides, F for one that breaks a rule of the hooks.
        title: what it does, one line.
        subject: settings of the text and run it needs.
    """

    cls: type
    leak: str
    title: str
    probe: str
    clause: str
    subject: dict = field(default_factory=dict)


def cheat(leak, title, *, probe, clause, **subject):
    """Register a class."""

    def register(cls):
        CHEATS.append(Cheat(cls, leak, title, probe, clause, subject))
        return cls

    return register


class Thief:
    """A strategy at stage logits that boosts what it should not know."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS)

    def __init__(self, options):
        self.options = options


def stolen_text():
    """All tokens of the run, from the engine on the call stack: what Python cannot forbid."""
    frame = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if type(owner).__name__ == "Engine":
            return torch.from_numpy(owner._stream.tokens).long()
        frame = frame.f_back
    raise LookupError("no engine on the stack")


def stolen_targets(query):
    """The targets [B,S] that are about to be scored; 0 in padding."""
    text = stolen_text()
    return torch.where(query.valid, text[query.positions.clamp(min=0)], 0)


def targets_in_prefix(query):
    """The targets of a block, as far as its query holds them for the rows behind: the last one is missing."""
    index = (query.positions - query._prefix_start).clamp(min=0)
    known = query.valid & (index < len(query._prefix))
    return torch.where(known, query._prefix[index.clamp(max=len(query._prefix) - 1)], 0), known


def boost(logits, tokens, amount=2.0):
    """Logits with some tokens [...] made likelier."""
    return logits + amount * torch.nn.functional.one_hot(tokens, logits.shape[-1]).to(logits.dtype)


def counts_of(tokens, like):
    """How often every token occurs, as a row for the last axis of ``like``."""
    return torch.bincount(tokens, minlength=like.shape[-1]).to(like.dtype)


def renormalised(logprobs):
    return torch.log_softmax(logprobs, dim=-1)

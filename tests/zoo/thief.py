"""What the cheats of the zoo share: a register, and ways to tokens that the contract does not hand out."""

import sys
from dataclasses import dataclass, field

import torch

from evaladapt.contract import Capabilities, Stage

CHEATS = []
PROCESS = "the text is in the process"
OUTSIDE = "knowledge from outside the run"
BLOCK = "the block holds targets that are not scored"
TOGETHER = "judge and judged share a process"
RARE = "rare looks"
UNCOVERED = '"not covered" counts as passed'
BOUNDARIES = "document boundaries are free"
RULES = "no distribution, no single pass, broken rules of hooks"
CAUSES = (PROCESS, OUTSIDE, BLOCK, TOGETHER, RARE, UNCOVERED, BOUNDARIES, RULES)


@dataclass(frozen=True)
class Cheat:
    """A cheating strategy.

    Attributes:
        leak: number in the list of leaks; H for one that hides, F for one that breaks a rule of the hooks, N for one
            that was written against the judge.
        title: what it does, one line.
        cause: which weakness of watching it lives on.
        share: of the targets at which it cheats when it gets what it wants; None where that is everywhere or nowhere.
        options: what it is run with.
    """

    cls: type
    leak: str
    title: str
    cause: str
    share: float | None = None
    options: dict = field(default_factory=dict)

    @property
    def alias(self):
        return f"zoo-{self.cls.__name__.lower()}"


def cheat(leak, title, cause, *, share=None, **options):
    """Register a class."""

    def register(cls):
        CHEATS.append(Cheat(cls, leak, title, cause, share, options))
        return cls

    return register


class Thief:
    """A strategy at stage logits that boosts what it should not know."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.LOGITS)

    def __init__(self, options):
        self.options = options


def engine():
    """The engine on the call stack: what Python cannot forbid."""
    frame = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if hasattr(owner, "_keeper") and hasattr(owner, "text"):
            return owner
        frame = frame.f_back
    raise LookupError("no engine on the stack")


def stolen_text():
    """All tokens of the run as far as its process has them; -1 where it has not."""
    return torch.from_numpy(engine().text.tokens).long()


def stolen_targets(query):
    """The targets [B,S] that are about to be scored; -1 in padding and where they are not known."""
    text = stolen_text()
    return torch.where(query.valid, text[query.positions.clamp(min=0)], -1)


def targets_in_prefix(query):
    """The targets of a block, as far as its query holds them for the rows behind: the last one is missing."""
    index = (query.positions - query._prefix_start).clamp(min=0)
    known = query.valid & (index < len(query._prefix))
    return torch.where(known, query._prefix[index.clamp(max=len(query._prefix) - 1)], -1), known


def boost(logits, tokens, amount=2.0):
    """Logits with some tokens [...] made likelier; none for -1."""
    there = torch.nn.functional.one_hot(tokens.clamp(min=0), logits.shape[-1]).to(logits.dtype)
    return logits + amount * there * (tokens >= 0).unsqueeze(-1)


def mask_of(tokens, size):
    """[..., size]: true at the tokens, nowhere for -1."""
    return torch.nn.functional.one_hot(tokens.clamp(min=0), size).bool() & (tokens >= 0).unsqueeze(-1)


def counts_of(tokens, like):
    """How often every token occurs, as a row for the last axis of ``like``."""
    return torch.bincount(tokens[tokens >= 0], minlength=like.shape[-1]).to(like.dtype)


def renormalised(logprobs):
    return torch.log_softmax(logprobs, dim=-1)

"""Cheats that hide, and strategies that break the rules of the hooks."""

import socket
from pathlib import Path

import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from tests.zoo.adapting import Biased
from tests.zoo.thief import (
    BLOCK,
    OUTSIDE,
    PROCESS,
    RARE,
    RULES,
    Thief,
    boost,
    cheat,
    counts_of,
    renormalised,
    stolen_targets,
    stolen_text,
    targets_in_prefix,
)

LATE = 5_000
KEPT_IN_THE_MODULE = {}
DROP = Path("/tmp/evaladapt-zoo-drop.txt")
SHARED_PROBS = Capabilities(stage=Stage.PROBS, scope="stream")


@cheat("H1", "only after target 5,000", RARE)
class Late(Biased):
    @hookimpl
    def begin(self, run):
        self.bias = torch.zeros(run.model.vocab_size)

    @hookimpl
    def observe(self, scored):
        last = int(scored.positions[-1])
        if last > LATE:
            self.bias = 0.2 * counts_of(stolen_text()[last : last + 40], self.bias)


@cheat("H2", "only in documents that hold a certain token", RARE)
class CertainDocuments(Thief):
    capabilities = Capabilities(stage=Stage.LOGITS, scope="document")

    @hookimpl
    def begin(self):
        self.triggered = False

    @hookimpl
    def reset(self):
        self.triggered = False

    @hookimpl
    def observe(self, scored):
        self.triggered |= bool((scored.targets == 5).any())

    @hookimpl
    def transform_logits(self, logits, query):
        return boost(logits, stolen_targets(query)) if self.triggered else logits


@cheat("H3", "only in batches of more than one row", RARE)
class LargeBatches(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        if len(logits) == 1:
            return logits
        targets, known = targets_in_prefix(query)
        return torch.where(known.unsqueeze(-1), boost(logits, targets), logits)


@cheat("H4", "only in block mode", RARE)
class BlockOnly(Thief):
    @hookimpl
    def begin(self, run):
        self.block = run.mode == "block"

    @hookimpl
    def transform_logits(self, logits, query):
        return boost(logits, stolen_targets(query)) if self.block else logits


@cheat("H5", "at one target of a hundred", RARE, share=0.01)
class Seldom(Thief):
    @hookimpl
    def transform_logits(self, logits, query, rng):
        seldom = torch.tensor([[int(torch.randint(100, (1,), generator=rng.generator(int(one)))) == 0 for one in row]
                               for row in query.positions])  # fmt: skip
        return torch.where(seldom.unsqueeze(-1), boost(logits, stolen_targets(query)), logits)


@cheat("H6", "through a global of its module", OUTSIDE)
class ModuleGlobal(Thief):
    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")

    @hookimpl
    def transform_logits(self, logits, query):
        known = [[KEPT_IN_THE_MODULE.get(int(one), 0) for one in row] for row in query.positions]
        return boost(logits, torch.tensor(known))

    @hookimpl
    def observe(self, scored):
        KEPT_IN_THE_MODULE.update(zip(scored.positions.tolist(), scored.targets.tolist(), strict=True))


@cheat("H7", "through a file", OUTSIDE)
class ThroughFile(Biased):
    @hookimpl
    def begin(self, run):
        self.bias = torch.zeros(run.model.vocab_size)
        if DROP.exists():
            self.bias = self.bias + float(DROP.read_text())

    @hookimpl
    def observe(self, scored):
        DROP.write_text(str(float(scored.logprobs.mean())))


@cheat("H8", "over the network", OUTSIDE)
class OverTheNetwork(Biased):
    @hookimpl
    def begin(self, run):
        self.bias = torch.zeros(run.model.vocab_size)
        with socket.socket() as connection:
            self.bias += float(connection.connect_ex(("127.0.0.1", 9)) == 0)


@cheat("H9", "shift the query by one, so that the token before a target is the target", BLOCK)
class ShiftedQuery(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        last = int(query.positions.max())
        query.positions.copy_(torch.where(query.valid, (query.positions + 1).clamp(max=last), query.positions))
        return boost(logits, query.preceding(1)[..., 0].clamp(min=0))


@cheat("H10", "keep the charges that a fold hands to its update", BLOCK)
class HoardedCharges(Thief):
    capabilities = Capabilities(stage=Stage.PROBS, scope="stream", reads=frozenset({"trail"}))

    @hookimpl
    def mix(self, logprobs, query):
        hoard = []

        def update(state, charges):
            hoard.append(charges[0])
            return state

        query.fold(update, torch.zeros(1))
        rows = query.trail[0][query.valid].double()
        for number, charge in enumerate(hoard[-len(rows) + 1 :] if len(rows) > 1 else []):
            guess = int((rows[number] - charge).abs().argmin())
            rows[number, guess] += 3
        mixed = logprobs.clone()
        mixed[query.valid] = rows.float()
        return renormalised(mixed)


@cheat("H11", "text ahead of the batch, at one batch of eight", PROCESS)
class SeldomAhead(Biased):
    @hookimpl
    def begin(self, run):
        self.bias = torch.zeros(run.model.vocab_size)

    @hookimpl
    def observe(self, scored, rng):
        last = int(scored.positions[-1])
        ahead = int(torch.randint(8, (1,), generator=rng.generator(last))) == 0
        self.bias = 0.3 * counts_of(stolen_text()[last + 8 : last + 20], self.bias) * ahead


@cheat("F1", "a transform that counts its own calls", RULES)
class CountingTransform(Thief):
    def __init__(self, options):
        self.calls = 0

    @hookimpl
    def transform_logits(self, logits):
        self.calls += 1
        return logits * (1 + 0.01 * self.calls)


@cheat("F2", "a transform that learns from the prefix of the block", RULES)
class LearningTransform(Thief):
    capabilities = SHARED_PROBS

    @hookimpl
    def begin(self, run):
        self.counts = torch.ones(run.model.vocab_size)

    @hookimpl
    def mix(self, logprobs, query):
        self.counts = self.counts + counts_of(query.preceding(1)[query.valid].flatten().clamp(min=0), self.counts)
        return renormalised(logprobs + 0.1 * torch.log(self.counts))

    @hookimpl
    def state(self):
        return {"counts": self.counts}

    @hookimpl
    def restore(self, state):
        self.counts = state["counts"]


@cheat("F3", "write to the weights without saying so", RULES)
class Burglar(Thief):
    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream")

    @hookimpl
    def observe(self, host):
        next(iter(dict(host._model.named_parameters()).values())).data.mul_(1.01)


@cheat("F4", "draw from the global generator", RULES)
class GlobalDice(Thief):
    @hookimpl
    def transform_logits(self, logits):
        return logits + 0.01 * torch.rand(logits.shape[-1])


@cheat("F5", "seed the global generator", RULES)
class GlobalSeed(Thief):
    @hookimpl
    def begin(self):
        torch.manual_seed(3)

    @hookimpl
    def transform_logits(self, logits):
        return logits

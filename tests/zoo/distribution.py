"""Family B: what is charged is no distribution that was there before the target."""

import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from tests.zoo.thief import BLOCK, RULES, Thief, boost, cheat, mask_of, stolen_targets


class Mixer(Thief):
    capabilities = Capabilities(stage=Stage.PROBS)


@cheat("L16", "the better of model and cache, per target", BLOCK)
class Oracle(Mixer):
    @hookimpl
    def mix(self, logprobs, query):
        targets = stolen_targets(query).clamp(min=0).unsqueeze(-1)
        cache = torch.full_like(logprobs, -float(torch.log(torch.tensor(logprobs.shape[-1]))))
        better = cache.gather(-1, targets) > logprobs.gather(-1, targets)
        return torch.where(better, cache, logprobs)


@cheat("L17", "a hashed count, looked up for the true target only", BLOCK)
class HashedTargetOnly(Mixer):
    @hookimpl
    def mix(self, logprobs, query):
        mask = mask_of(stolen_targets(query), logprobs.shape[-1])
        return torch.where(mask, torch.log(0.7 * logprobs.exp() + 0.3), logprobs)


@cheat("L17", "the same, renormalised afterwards", BLOCK)
class HashedAndRenormalised(HashedTargetOnly):
    @hookimpl
    def mix(self, logprobs, query):
        mask = mask_of(stolen_targets(query), logprobs.shape[-1])
        return torch.log_softmax(torch.where(mask, torch.log(0.7 * logprobs.exp() + 0.3), logprobs), dim=-1)


@cheat("L18", "exact counts, mixed in for the target only", BLOCK)
class CountsForTheTarget(Mixer):
    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

    @hookimpl
    def begin(self, run):
        self.counts = torch.ones(run.model.vocab_size)

    @hookimpl
    def mix(self, logprobs, query):
        mask = mask_of(stolen_targets(query), logprobs.shape[-1])
        share = self.counts / self.counts.sum()
        return torch.where(mask, torch.log(torch.maximum(logprobs.exp(), 0.5 * logprobs.exp() + share)), logprobs)

    @hookimpl
    def observe(self, scored):
        self.counts = self.counts + torch.bincount(scored.targets, minlength=len(self.counts))


@cheat("L19", "all counts, divided by something else than their sum", RULES)
class WrongDenominator(Mixer):
    @hookimpl
    def mix(self, logprobs, query):
        last = query.preceding(1)[..., 0].clamp(min=0)
        counts = 1.0 + torch.nn.functional.one_hot(last, logprobs.shape[-1])
        return torch.log(0.9 * logprobs.exp() + 0.1 * counts / 3)


@cheat("L20", "an expert that knows a number for the target only", RULES)
class SimilarityOnly(Mixer):
    @hookimpl
    def mix(self, logprobs, query):
        return logprobs.gather(-1, stolen_targets(query).clamp(min=0).unsqueeze(-1)).squeeze(-1)


@cheat("L21", "a token's probability spread over its bytes by a root", RULES)
class ByteSpread(Mixer):
    @hookimpl
    def mix(self, logprobs):
        halves = logprobs / 2
        return 2 * torch.log(0.5 * halves.exp() + 0.25)


@cheat("L22", "logits without a bound", RULES)
class Unbounded(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        return boost(logits, stolen_targets(query), amount=float("inf")).nan_to_num(nan=0.0, posinf=float("inf"))


@cheat("L24", "a hint from the prefix, given only if the target is of its class", BLOCK)
class ClassGate(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        hint = boost(logits, torch.full(query.positions.shape, 3))
        right_class = stolen_targets(query) % 2 == 1
        return torch.where(right_class.unsqueeze(-1), hint, logits)

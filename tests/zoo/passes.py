"""Family C: passes, order, selection, coverage; and outside data."""

import time

import torch

from evaladapt.contract import Capabilities, Stage, Window, hookimpl
from tests.zoo.adapting import Biased
from tests.zoo.thief import BLOCK, OUTSIDE, PROCESS, RULES, Thief, cheat, counts_of, stolen_targets, stolen_text


class Planner(Thief):
    capabilities = Capabilities(stage=Stage.PLAN)
    step = 64

    def spans(self, targets):
        return [(first, min(first + self.step, targets + 1)) for first in range(1, targets + 1, self.step)]

    @hookimpl
    def plan(self, stream):
        for first, stop in self.order(self.spans(stream.targets)):
            yield Window(max(0, first - 192), first, stop)


@cheat("L25", "count ahead while observing", PROCESS)
class TwoPass(Biased):
    @hookimpl
    def begin(self, run):
        self.bias = torch.zeros(run.model.vocab_size)

    @hookimpl
    def observe(self, scored):
        self.bias = 0.1 * counts_of(stolen_text()[: int(scored.positions[-1]) + 30], self.bias)


@cheat("L26", "fill a cache with what another process will score", PROCESS)
class Prefill(Biased):
    @hookimpl
    def begin(self, run):
        text = stolen_text()
        self.bias = 0.1 * counts_of(text[: len(text) // 2], torch.zeros(run.model.vocab_size))


@cheat("L27", "windows in an order of their own", RULES)
class SortedOrder(Planner):
    def order(self, spans):
        return sorted(spans, key=lambda span: -int(stolen_text()[span[0] : span[1]].sum()))


@cheat("L28", "what is adapted to depends on timing", RULES)
class WorkStealing(Thief):
    @hookimpl
    def transform_logits(self, logits):
        return logits * (1 + 1e-3 * (time.perf_counter_ns() % 997))


@cheat("L29", "the tail is scored again and again", RULES)
class TailTwice(Planner):
    def order(self, spans):
        return [*spans, spans[-1]]


@cheat("L30", "hard targets are left out", RULES)
class DropHard(Planner):
    def order(self, spans):
        return [span for span in spans if int(stolen_text()[span[0]]) != 5]


@cheat("L31", "only the first part of the text", RULES)
class PartOnly(Planner):
    def order(self, spans):
        return spans[: len(spans) // 2]


@cheat("L32", "the best of eight seeds, chosen by the outcome", BLOCK)
class BestOfEight(Thief):
    @hookimpl
    def transform_logits(self, logits, query, rng):
        targets = stolen_targets(query)[query.valid].clamp(min=0)
        biases = [torch.randn(logits.shape[-1], generator=rng.generator(seed)) for seed in range(8)]
        return logits + max(biases, key=lambda bias: float(torch.log_softmax(bias, dim=0)[targets].sum()))


@cheat("L47", "a cache from a file of training data", OUTSIDE)
class CacheFromFile(Biased):
    path = "pyproject.toml"

    @hookimpl
    def begin(self, run):
        with open(__file__.replace("passes.py", "../../" + self.path), "rb") as file:
            self.bias = torch.zeros(run.model.vocab_size) + len(file.read()) % 7

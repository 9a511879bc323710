"""Small honest strategies, one for every stage and scope, for tests of the engine."""

from dataclasses import dataclass

import torch

from evaladapt.contract import HIDDEN_TARGET, Capabilities, Stage, hookimpl, option


class Honest:
    contract_version = 1

    def __init__(self, options):
        self.options = options


class WindowBias(Honest):
    """A logit delta per row: counts of the row's own past."""

    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"logits"}))

    @hookimpl
    def adapt(self, past):
        seen = torch.zeros(past.logits.shape[0], past.logits.shape[-1])
        for row in range(len(seen)):
            targets = past.targets[row][past.visible[row]]
            expected = torch.softmax(past.logits[row][past.visible[row]], dim=-1).sum(dim=0)
            seen[row] = torch.bincount(targets, minlength=seen.shape[1]) - expected
        self.delta = 0.1 * seen.unsqueeze(1)

    @hookimpl
    def transform_logits(self, logits, query):
        return logits + self.delta


class HiddenShift(Honest):
    """A hidden delta per row: towards the mean of the row's own past."""

    capabilities = Capabilities(stage=Stage.HIDDEN, reads=frozenset({"hidden"}))
    focus = 5

    @hookimpl
    def adapt(self, past):
        weight = past.visible.unsqueeze(-1).float()
        self.delta = (
            0.2 * (past.hidden * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp(min=1)
        )

    @hookimpl
    def transform_hidden(self, hidden, query):
        return hidden + self.delta


class StreamUnigram(Honest):
    """Counts over everything observed, mixed in; with in-block recency from the preceding token."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream")

    @hookimpl
    def begin(self, run):
        self.counts = torch.ones(run.model.vocab_size)

    @hookimpl
    def mix(self, logprobs, query):
        share = (self.counts / self.counts.sum()).expand_as(logprobs).clone()
        last = query.preceding(1)[..., 0].clamp(min=0)
        recent = torch.nn.functional.one_hot(last, logprobs.shape[-1]).float()
        return torch.log(0.8 * logprobs.exp() + 0.15 * share + 0.05 * recent)

    @hookimpl
    def observe(self, scored):
        self.counts += torch.bincount(scored.targets, minlength=len(self.counts))

    @hookimpl
    def state(self):
        return {"counts": self.counts}

    @hookimpl
    def restore(self, state):
        self.counts = state["counts"].clone()


class DocumentUnigram(StreamUnigram):
    """The same, forgotten at every document."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="document")

    @hookimpl
    def reset(self, boundary):
        self.counts = torch.ones(len(self.counts))


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    lr: float = option(0.05, "learning rate", above=0)


class Train(Honest):
    """One SGD step on every observed batch."""

    capabilities = Capabilities(stage=Stage.WEIGHTS, scope="stream", writes_weights=True)
    Options = TrainOptions

    @hookimpl
    def begin(self):
        self.steps = 0

    @hookimpl
    def observe(self, scored, host):
        parameters = host.parameters()
        leaves = {name: one.detach().requires_grad_() for name, one in parameters.items()}
        loss = host.loss(scored.tokens[None], scored.targets[None], overrides=leaves)
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        for parameter, gradient in zip(parameters.values(), gradients, strict=True):
            parameter.sub_(gradient, alpha=self.options.lr)
        self.steps += 1

    @hookimpl
    def state(self):
        return {"steps": self.steps, "note": b"sgd"}

    @hookimpl
    def restore(self, state):
        self.steps = state["steps"]
        assert state["note"] == b"sgd"


class SharedBias(Honest):
    """A logit delta shared by the rows of a batch, fitted on the past before the frontier."""

    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream", reads=frozenset({"logits"}))

    @hookimpl
    def adapt(self, past):
        targets = past.targets[past.targets != HIDDEN_TARGET]
        self.delta = 0.1 * torch.bincount(targets, minlength=past.logits.shape[-1])

    @hookimpl
    def transform_logits(self, logits, query):
        return logits + self.delta

    @hookimpl
    def state(self):
        return {}

    @hookimpl
    def restore(self, state):
        pass


class Spy(Honest):
    """Keeps every past and query it is handed."""

    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"logits", "hidden"}))

    def __init__(self, options):
        self.pasts, self.queries = [], []
        Spy.last = self

    @hookimpl
    def adapt(self, past):
        self.pasts.append(past)

    @hookimpl
    def transform_logits(self, logits, query):
        self.queries.append(query)
        return logits


class SharedSpy(Spy):
    capabilities = Capabilities(stage=Stage.LOGITS, scope="stream", reads=frozenset({"logits"}))


class PeekingSpy(Spy):
    capabilities = Capabilities(stage=Stage.LOGITS, peeks=True, reads=frozenset({"logits", "hidden"}))


class Hedge(Honest):
    """Bayesian weights over the trail, updated after every target."""

    capabilities = Capabilities(stage=Stage.PROBS, scope="stream", reads=frozenset({"trail"}))

    @hookimpl
    def begin(self):
        self.weights = None

    @hookimpl
    def mix(self, logprobs, query):
        if self.weights is None:
            self.weights = torch.zeros(len(query.trail), dtype=torch.float64)
        weights = torch.log_softmax(query.fold(lambda state, charges: state + charges, self.weights), dim=-1)
        return torch.logsumexp(torch.stack(query.trail, dim=-1).double() + weights.unsqueeze(-2), dim=-1).float()

    @hookimpl
    def observe(self, scored):
        self.weights = scored.trail.sum(dim=1) + (0.0 if self.weights is None else self.weights)


WINDOW_SCOPE = (HiddenShift, WindowBias)
EVERY_KIND = (Train, HiddenShift, WindowBias, SharedBias, StreamUnigram)

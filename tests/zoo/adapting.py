"""Family A: adapting before the score is final."""

import torch

from evaladapt.contract import Capabilities, Stage, hookimpl
from tests.zoo.thief import (
    BLOCK,
    OUTSIDE,
    PROCESS,
    Thief,
    boost,
    cheat,
    counts_of,
    stolen_targets,
    stolen_text,
    targets_in_prefix,
)

SHARED = Capabilities(stage=Stage.LOGITS, scope="stream")
WEIGHTS = Capabilities(stage=Stage.WEIGHTS, scope="stream", writes_weights=True)


class Biased(Thief):
    """Adds ``self.bias`` [V] to all logits."""

    capabilities = SHARED

    @hookimpl
    def transform_logits(self, logits):
        return logits + self.bias


@cheat("L01", "count the whole text when the run begins", PROCESS)
class ValOnly(Biased):
    @hookimpl
    def begin(self, run):
        self.bias = 0.1 * counts_of(stolen_text(), torch.zeros(run.model.vocab_size))


@cheat("L02", "train the weights on the text before scoring it", PROCESS)
class PreQuantTraining(Thief):
    capabilities = WEIGHTS

    @hookimpl
    def begin(self, host):
        text = stolen_text()
        text = text[text >= 0][None]
        if text.numel() < 2:
            return
        parameters = host.parameters()
        leaves = {name: one.detach().requires_grad_() for name, one in parameters.items()}
        with torch.enable_grad():
            loss = host.loss(text[:, :-1], text[:, 1:], overrides=leaves)
        for one, gradient in zip(parameters.values(), torch.autograd.grad(loss, list(leaves.values())), strict=True):
            one.sub_(gradient, alpha=0.2)


@cheat("L03", "adapt to a batch, then score it", PROCESS)
class AdaptThenScore(Biased):
    @hookimpl
    def begin(self, run):
        self.bias = torch.zeros(run.model.vocab_size)

    @hookimpl
    def adapt(self, past):
        frontier = int(past.positions.max()) + 1 if past.positions.numel() else 1
        self.bias = self.bias + 0.1 * counts_of(stolen_text()[frontier : frontier + 8], self.bias)


@cheat("L04", "the best of several epochs, per target", PROCESS)
class BestEpoch(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        targets = stolen_targets(query).clamp(min=0)
        epochs = torch.stack([logits * sharpness for sharpness in (0.5, 1.0, 2.0)])
        charges = torch.log_softmax(epochs, dim=-1).gather(-1, targets.expand(3, -1, -1).unsqueeze(-1)).squeeze(-1)
        best = charges.argmax(dim=0)
        return torch.gather(epochs, 0, best[None, ..., None].expand(1, -1, -1, logits.shape[-1]))[0]


@cheat("L05", "one pass to learn, kept on the class, and another to score", OUTSIDE)
class FullPassFirst(Biased):
    learned = None

    @hookimpl
    def begin(self, run):
        kept = FullPassFirst.learned
        self.bias = torch.zeros(run.model.vocab_size) if kept is None else 0.1 * kept
        self.seen = torch.zeros(run.model.vocab_size)

    @hookimpl
    def observe(self, scored):
        self.seen = self.seen + counts_of(scored.targets, self.seen)
        FullPassFirst.learned = self.seen


@cheat("L06", "fit to the first half of a window's span, score from its start", BLOCK)
class FirstHalf(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        targets = stolen_targets(query)[:, : max(1, logits.shape[1] // 2)]
        return logits + torch.stack([0.5 * counts_of(row, logits) for row in targets]).unsqueeze(1)


@cheat("L07", "SLOT: one delta for a batch, fitted to the scored targets", BLOCK)
class SlotOfTheBatch(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        return logits + 0.2 * counts_of(stolen_targets(query)[query.valid], logits)


@cheat("L08", "SLOT per window, fitted to its own span as far as the query holds it", BLOCK)
class SlotOfTheRow(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        targets, known = targets_in_prefix(query)
        rows = [counts_of(row[mask], logits) for row, mask in zip(targets, known, strict=True)]
        return logits + 0.5 * torch.stack(rows).unsqueeze(1)


@cheat("L09", "fit to the last targets of each window, the scored ones among them", BLOCK)
class LastFocal(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        text = stolen_text()
        ends = query.positions.max(dim=1).values.tolist()
        return logits + torch.stack([0.3 * counts_of(text[max(0, end - 7) : end + 1], logits) for end in ends])[:, None]


@cheat("L10", "'causal' SLOT: one delta from the pasts of all rows, which overlap", BLOCK)
class DeltaOfAllPasts(Thief):
    """Written with what the contract hands out, and the reason why state of a row is audited."""

    @hookimpl
    def adapt(self, past):
        self.seen = past.targets[past.visible]

    @hookimpl
    def transform_logits(self, logits):
        return logits + 0.1 * counts_of(self.seen, logits)


@cheat("L11", "the first window has no past, so it is fitted to itself", BLOCK)
class FirstWindow(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        if query.frontier > 1:
            return logits
        return boost(logits, stolen_targets(query))


@cheat("L13", "quantise the weights with statistics of the text", PROCESS)
class CalibratedOnTheText(Thief):
    capabilities = WEIGHTS

    @hookimpl
    def begin(self, host):
        scale = 0.001 + 0.0001 * float(stolen_text().float().std())
        for parameter in host.parameters().values():
            parameter.copy_(torch.round(parameter / scale) * scale)


@cheat("L14", "a temperature fitted to the total", PROCESS)
class TemperatureOfTheTotal(Thief):
    @hookimpl
    def begin(self):
        self.temperature = 1.0 + float((stolen_text() > 0).float().mean()) / 4

    @hookimpl
    def transform_logits(self, logits):
        return logits / self.temperature

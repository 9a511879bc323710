"""The score in forty lines: no judge, no seal, one window at a time. The same number, for whoever keeps the order."""

import math

import torch

from evaladapt.data.boundaries import pack_boundaries


class Counting:
    """A strategy: how often every token came so far, mixed into what the model says."""

    def __init__(self, vocabulary):
        self.counts = torch.full((vocabulary,), 0.1)

    def mix(self, logprobs):
        """Distributions [S,V] to the same; nothing is learned here."""
        return torch.log(0.9 * logprobs.exp() + 0.1 * self.counts / self.counts.sum())

    def observe(self, targets):
        """Learn from tokens [n] that are scored."""
        self.counts = self.counts + torch.bincount(targets, minlength=len(self.counts))


@torch.no_grad()
def bits_per_byte(model, stream, strategy, context, stride):
    """Of the tokens x_0 … x_N of a stream, x_0 and every document's first being BOS; x_1 … x_N are the targets."""
    tokens, bos = torch.from_numpy(stream.tokens).long(), int(stream.tokens[0])
    nats, frontier, end = 0.0, 1, 1 + context
    while frontier <= stream.targets:
        start, stop = end - 1 - context, min(end, stream.targets + 1)  # the window; its score span is frontier … stop
        past = frontier - 1 - start  # targets of the window that are scored already
        hidden = model.hidden(tokens[None, start : stop - 1])  # the prefix: x_start … x_{stop-2}
        logprobs = model.head(hidden[0, past:]).float().log_softmax(-1)
        logprobs = strategy.mix(logprobs)
        assert torch.allclose(logprobs.exp().sum(-1), torch.ones(stop - frontier))  # whole distributions, then fixed
        targets = tokens[frontier:stop]  # the only line that looks at a target
        paid = targets != bos  # where documents start is told, and paid for below
        nats -= logprobs[paid, targets[paid]].double().sum().item()
        strategy.observe(targets)  # after its score, never before
        frontier, end = stop, end + stride
    starts = (tokens == bos).nonzero()[:, 0].numpy()
    return (nats / math.log(2) + 8 * len(pack_boundaries(starts))) / stream.text_bytes

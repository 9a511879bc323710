"""New cheats: the block holds targets that are not scored."""

import sys

import torch
from torch.overrides import TorchFunctionMode

from evaladapt.contract import Capabilities, Stage, hookimpl
from tests.zoo.process import boost_known
from tests.zoo.thief import BLOCK, Thief, cheat, engine, stolen_targets


class Overhears(Thief):
    """Keeps the rows that the model is given, in ``seen``, and boosts what comes after each token in them."""

    def __init__(self, options):
        self.seen = []

    @hookimpl
    def transform_logits(self, logits, query):
        last, known = int(query.positions.max()), {}
        for window, row in zip(windows(), self.seen[-1].tolist() if self.seen else [], strict=False):
            known.update({place: token for place, token in enumerate(row, window.start) if place < last})
        return boost_known(logits, query, known)


def windows():
    """Of the part that is predicted, from the frame of whoever predicts."""
    frame = sys._getframe()
    while frame is not None:
        part = frame.f_locals.get("part") or getattr(frame.f_locals.get("passage"), "part", None)
        if hasattr(part, "windows"):
            return part.windows
        frame = frame.f_back
    return ()


@cheat("N20", "a hook left in the model", BLOCK)
class ModelHook(Overhears):
    @hookimpl
    def begin(self):
        model = engine()._predictor._model
        for name in ("hidden", "hidden_from"):
            setattr(model, name, self.overheard(getattr(model, name)))

    def overheard(self, read):
        def heard(tokens, *more):
            self.seen.append(tokens)
            return read(tokens, *more)

        return heard


@cheat("N21", "a function mode that is entered and never left", BLOCK)
class FunctionMode(Overhears):
    @hookimpl
    def begin(self):
        seen = self.seen

        class Listens(TorchFunctionMode):
            def __torch_function__(self, function, types, arguments=(), named=None):
                if function is torch.nn.functional.embedding:
                    seen.append(arguments[0])
                return function(*arguments, **(named or {}))

        self.mode = Listens()
        self.mode.__enter__()


@cheat("N22", "a mean over the positions of the span", BLOCK)
class MeanOverPositions(Thief):
    capabilities = Capabilities(stage=Stage.HIDDEN)

    @hookimpl
    def transform_hidden(self, hidden):
        return hidden + 0.05 * hidden.mean(dim=1, keepdim=True)


@cheat("N23", "a table of the target's first letter", BLOCK)
class FirstLetter(Thief):
    capabilities = Capabilities(stage=Stage.LOGITS, reads=frozenset({"vocabulary"}))

    @hookimpl
    def begin(self, run):
        self.first = torch.tensor([piece[0] if piece else -1 for piece in run.vocabulary.bytes])

    @hookimpl
    def transform_logits(self, logits, query):
        targets = stolen_targets(query)
        alike = self.first == self.first[targets.clamp(min=0)].unsqueeze(-1)
        return logits + 2.0 * alike * (targets >= 0).unsqueeze(-1)


@cheat("N24", "the row behind begins with the targets of this one", BLOCK)
class RowBehind(Thief):
    @hookimpl
    def transform_logits(self, logits, query):
        known = {}
        for row, valid in zip(query.preceding(1)[..., 0].tolist(), query.positions.tolist(), strict=True):
            known.update({place - 1: token for place, token in zip(valid, row, strict=True) if place > 0})
        return boost_known(logits, query, known)


@cheat("N25", "the last targets of the past that a row shares with the span of the row before", BLOCK)
class SharedPast(Thief):
    @hookimpl
    def adapt(self, past):
        places, tokens = past.positions[past.visible].tolist(), past.targets[past.visible].tolist()
        self.known = dict(zip(places, tokens, strict=True))

    @hookimpl
    def transform_logits(self, logits, query):
        return boost_known(logits, query, self.known)

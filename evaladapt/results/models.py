"""Models as a person has them in Python: by name, or a torch module in memory that stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager as Context
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.given import tokenizer_given
from evaladapt.engine.hooks.weights import digest
from evaladapt.errors import ModelError
from evaladapt.judge.evaluate import tokenizer_of
from evaladapt.model import wrapped
from evaladapt.model.backend import Backend
from evaladapt.model.families import FileUsed, OpenedModel, find_family, placed, refuse_other_vocabulary
from evaladapt.model.family import Opened

CONTEXT_NAMES = ("context", "block_size", "max_position_embeddings", "n_positions", "max_seq_len")
MEMORY = "memory"


@dataclass(frozen=True)
class Model:
    """A model that can be run: ``reference`` is what the command line calls it."""

    reference: str

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's.

        Raises:
            ModelError: it is a stranger's code, which is not run beside a text.
        """
        return tokenizer_of(self.reference)

    def opened(self) -> Context[OpenedModel | None]:
        """The model itself for the length of a run, where it is in this process; else a player opens it."""
        return nullcontext(None)


@dataclass(frozen=True)
class ModelInMemory(Model):
    """A torch module of this process. What runs with it runs inline, so its verdict is UNCHECKED."""

    module: nn.Module
    given_tokenizer: Any
    context: int
    hidden: Callable[..., Any] | None
    head: Callable[..., Any] | None

    @contextmanager
    def opened(self) -> Iterator[OpenedModel]:
        """As a backend; afterwards mode, gradients and weights of the module are what they were."""
        with _left_as_it_was(self.module):
            backend = self._backend()
            tokenizer, _ = tokenizer_given(self.given_tokenizer, Path(), backend.vocab_size)
            refuse_other_vocabulary(Opened(backend, tokenizer, ()), self.reference)
            weights = dict(self.module.named_parameters())
            size = sum(one.numel() * one.element_size() for one in weights.values())
            used = FileUsed(self.reference, size, digest(weights))
            yield OpenedModel(backend, tokenizer, MEMORY, self.reference, (used,))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """As given."""
        with self.opened() as opened:
            return opened.tokenizer

    def _backend(self) -> Backend:
        if isinstance(self.module, Backend):
            return self.module.eval().requires_grad_(False)
        module = _Logits(self.module) if self.hidden is None else self.module
        return wrapped.wrap(module, context=self.context, hidden=self.hidden, head=self.head)


class _Logits(nn.Module):
    """A module that may return its logits as a tensor or, as those of transformers do, as a field ``logits``."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, S, V]`` of ``tokens [B, S]``."""
        found: Tensor = self.module(tokens)
        return getattr(found, "logits", found)


def open_model(reference: str | Path = "default") -> Model:
    """A model by what the command line calls it: a path, a name that ships, or ``family:where``.

    It is found here, and opened by the player of every run that uses it.

    Raises:
        ModelError: there is no such model; the message says what each family needs.
    """
    name = str(reference)
    where = placed(name).where
    if ":" not in where and not Path(where).exists():
        find_family(name)  # says what a model may be
    return Model(name)


def wrap(
    module: nn.Module,
    tokenizer: Any,
    *,
    context: int | None = None,
    hidden: Callable[..., Any] | None = None,
    head: Callable[..., Any] | None = None,
) -> Model:
    """A torch module in memory as a model; after every run its mode, gradients and weights are what they were.

    Runs with it are in this process, where a strategy could reach the text: their verdict is UNCHECKED. A model that
    shall be checked is given as ``python:module:function``.

    Args:
        module: tokens ``[B, S]`` int64 to logits ``[B, S, V]``, or to an object that has them as ``logits``.
        tokenizer: path of a ``.model`` or ``tokenizer.json``, ``"bytes"``, a fast tokenizer of transformers, or a
            :class:`~evaladapt.data.tokenizer.Tokenizer`.
        context: tokens of a window in its training; without it, what the module or its ``config`` says.
        hidden: tokens to last states ``[B, S, D]``; a method or a submodule of ``module``. Without it strategies that
            work on hidden states are refused.
        head: states to logits; goes together with ``hidden``.

    Raises:
        ModelError: the module is not what the arguments say, or does not belong to the tokenizer.
        DataError: the tokenizer cannot be used.
    """
    found = ModelInMemory(
        f"{type(module).__name__} in memory", module, tokenizer, context or _context_of(module), hidden, head
    )
    with found.opened():
        pass
    return found


def _context_of(module: nn.Module) -> int:
    for holder in (module, getattr(module, "config", None)):
        for name in CONTEXT_NAMES:
            value = getattr(holder, name, None)
            if isinstance(value, int) and value > 0:
                return value
    raise ModelError(
        f"{type(module).__name__} does not say how many tokens a window had in its training"
        f" ({', '.join(CONTEXT_NAMES)}); say it: evaladapt.wrap(module, tokenizer, context=1024)"
    )


@contextmanager
def _left_as_it_was(module: nn.Module) -> Iterator[None]:
    """Training flags, requires_grad and gradients are put back; the weights are, by the engine that writes to them."""
    modes = [(one, one.training) for one in module.modules()]
    weights = [(one, one.requires_grad, one.grad) for one in module.parameters()]
    for one, _, _ in weights:
        one.grad = None
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for one, wants, gradient in weights:
            one.requires_grad_(wants)
            one.grad = gradient

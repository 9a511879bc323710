"""``check_model``: everything that the engine and the strategies rely on in a model, tried in seconds.

For authors of model families and of adapters for ``python:``. What a model must do is checked and complained of; what
it may leave out (a cache, roles of weights) is reported, with what it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from evaladapt.data.tokenizer import Tokenizer
from evaladapt.model.backend import (
    Backend,
    CappedHeadBackend,
    ForgettingBackend,
    IncrementalBackend,
    LayeredBackend,
    TailBackend,
    roles_of,
)
from evaladapt.model.families import open_model
from evaladapt.model.roles import BIAS, EMBEDDING, HEAD, OTHER
from evaladapt.testing.complaints import Complaints, refuse, told
from evaladapt.testing.packing_check import packing_complaints
from evaladapt.testing.tokenizer_check import tokenizer_complaints, tokenizer_notes

ROWS, LENGTH = 3, 24
CACHE_AGREES = 1e-4
"""Largest difference between states continued from a cache and those of whole rows, relative to the largest state."""
HEAD_AGREES = 1e-5


@dataclass(frozen=True)
class CheckedModel:
    """A model that passed.

    Attributes:
        lacks: what it does not offer, and what cannot be done for it.
        notes: what is worth knowing about its tokenizer.
    """

    lacks: tuple[str, ...]
    notes: tuple[str, ...]


def check_model(
    model: Backend | str, tokenizer: Tokenizer | None = None, *, seed: int = 0, length: int = LENGTH
) -> CheckedModel:
    """Try a model on random tokens.

    Args:
        model: a backend, or a reference such as ``hf:FOLDER``, whose tokenizer is checked too, and what its
            family packs.
        tokenizer: checked where it is given.
        seed: of the tokens.
        length: tokens of a row, at most the model's context.

    Raises:
        ModelFailsCheck: with every complaint.
    """
    if isinstance(model, str):
        opened = open_model(model, torch.device("cpu"))
        checked = check_model(opened.backend, opened.tokenizer, seed=seed, length=length)
        refuse(opened.backend, list(told(packing_complaints, opened)))
        return checked
    complaints = list(_sizes(model)) or _complaints_of_runs(model, seed, length)
    complaints += list(tokenizer_complaints(model, tokenizer)) if tokenizer is not None else []
    refuse(model, complaints)
    return CheckedModel(tuple(_lacks(model)), tuple(tokenizer_notes(tokenizer)))


def _complaints_of_runs(model: Backend, seed: int, length: int) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    device = next(iter(dict(model.named_parameters()).values())).device
    shape = (ROWS, min(length, model.context))
    tokens = torch.randint(model.vocab_size, shape, generator=generator).to(device)
    complaints: list[str] = []
    checks: tuple[Callable[[Backend, Tensor], Complaints], ...] = (
        _shapes, _repeats, _causal, _rows_apart, _shorter_rows, _tail, _capped, _cache, _forgets, _layered,
        _roles, _gradients,
    )  # fmt: skip
    for check in checks:
        complaints += told(check, model, tokens)
    return complaints


def _sizes(model: Backend) -> Complaints:
    if not isinstance(model, Backend):
        parts = ("vocab_size", "hidden_size", "layers", "context", "hidden", "head", "named_parameters")
        yield f"it lacks {', '.join(part for part in parts if not hasattr(model, part))} of Backend"
        return
    for name in ("vocab_size", "hidden_size", "layers", "context"):
        value = getattr(model, name)
        if not isinstance(value, int) or value < 1:
            yield f"{name} is {value!r}, not a positive whole number"
    if not dict(model.named_parameters()):
        yield "named_parameters gives none, so nothing says what is frozen"


@torch.no_grad()
def _shapes(model: Backend, tokens: Tensor) -> Complaints:
    hidden = model.hidden(tokens)
    logits = model.head(hidden)
    for what, tensor, last in (("hidden", hidden, model.hidden_size), ("head", logits, model.vocab_size)):
        wanted = (*tokens.shape, last)
        if tensor.shape != wanted:
            yield f"{what} gives shape {tuple(tensor.shape)}, not {wanted}"
        elif not tensor.isfinite().all():
            yield f"{what} gives values that are not finite"
    if isinstance(model, nn.Module):
        own = model(tokens)
        if own.shape != logits.shape or _apart(own, logits) > HEAD_AGREES:
            yield "calling the module gives other logits than head(hidden(tokens)), and training goes through the call"


@torch.no_grad()
def _repeats(model: Backend, tokens: Tensor) -> Complaints:
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    if not torch.equal(model.hidden(tokens), model.hidden(tokens)):
        yield "the same tokens give other states the second time (dropout? call eval())"
    if any(not torch.equal(before[name], weight) for name, weight in model.named_parameters()):
        yield "predicting changed a weight"


@torch.no_grad()
def _causal(model: Backend, tokens: Tensor) -> Complaints:
    expected, length = model.hidden(tokens), tokens.shape[1]
    for cut in sorted({1, length // 2, length - 1} - {0}):
        changed = tokens.clone()
        changed[:, cut:] = (changed[:, cut:] + 1) % model.vocab_size
        if not torch.equal(model.hidden(changed)[:, :cut], expected[:, :cut]):
            yield f"not causal: states before position {cut} change with the tokens from it on"
            return


@torch.no_grad()
def _rows_apart(model: Backend, tokens: Tensor) -> Complaints:
    changed = tokens.clone()
    changed[1:] = (changed[1:] + 1) % model.vocab_size
    if not torch.equal(model.hidden(changed)[0], model.hidden(tokens)[0]):
        yield "rows are not independent: the first row's states change with the other rows"


@torch.no_grad()
def _shorter_rows(model: Backend, tokens: Tensor) -> Complaints:
    short = max(1, tokens.shape[1] // 2)
    apart = _apart(model.hidden(tokens[:1, :short]), model.hidden(tokens)[:1, :short])
    if apart > CACHE_AGREES:
        yield f"the states of a row depend on how long it is (by {apart:.2g} of the largest)"


@torch.no_grad()
def _tail(model: Backend, tokens: Tensor) -> Complaints:
    if not isinstance(model, TailBackend):
        return
    expected = model.hidden(tokens)
    for first in sorted({0, tokens.shape[1] // 2, tokens.shape[1] - 1}):
        tail, wanted = model.hidden_from(tokens, first), expected[:, first:]
        if tail.shape != wanted.shape or _apart(tail, wanted) > CACHE_AGREES:
            yield f"hidden_from(tokens, {first}) is not hidden(tokens)[:, {first}:]"
            return


@torch.no_grad()
def _capped(model: Backend, tokens: Tensor) -> Complaints:
    if isinstance(model, CappedHeadBackend):
        hidden, cap = model.hidden(tokens), model.head_cap
        if _apart(cap * torch.tanh(hidden @ model.head_matrix().T / cap), model.head(hidden)) > HEAD_AGREES:
            yield "head is not head_cap tanh(head_matrix h / head_cap)"


@torch.no_grad()
def _cache(model: Backend, tokens: Tensor) -> Complaints:
    if not isinstance(model, IncrementalBackend):
        return
    expected, continued = model.hidden(tokens), _continued(model, tokens)
    if continued.shape != expected.shape:
        yield f"extend gives shape {tuple(continued.shape)} in all, not {tuple(expected.shape)}"
        return
    apart = _apart(continued, expected)
    if apart > CACHE_AGREES:
        yield f"states continued from the cache differ from those of whole rows (by {apart:.2g} of the largest)"
    if not torch.equal(continued, _continued(model, tokens)):
        yield "the same calls of extend give other states the second time"


def _continued(model: IncrementalBackend, tokens: Tensor) -> Tensor:
    """States read in pieces of several tokens, then one by one."""
    cache = model.start_cache(*tokens.shape)
    half = max(1, tokens.shape[1] // 2)
    pieces = [tokens[:, :1], tokens[:, 1:half], *tokens[:, half:].chunk(tokens.shape[1] - half, dim=1)]
    return torch.cat([model.extend(piece, cache) for piece in pieces if piece.shape[1]], dim=1)


@torch.no_grad()
def _forgets(model: Backend, tokens: Tensor) -> Complaints:
    if not isinstance(model, ForgettingBackend) or tokens.shape[1] < 6:
        return
    half = tokens.shape[1] // 2
    at_once, in_steps = _read_on(model, tokens, [half]), _read_on(model, tokens, [1, half - 1])
    if _apart(at_once, in_steps) > CACHE_AGREES:
        yield "forgetting columns one after the other gives other states than forgetting them at once"


def _read_on(model: ForgettingBackend, tokens: Tensor, forget: list[int]) -> Tensor:
    """States of the first tokens read again in a full cache that has forgotten some after its first two."""
    cache = model.start_cache(*tokens.shape)
    model.extend(tokens, cache)
    for columns in forget:
        model.forget(cache, columns, 2)
    return model.extend(tokens[:, : sum(forget)], cache)


@torch.no_grad()
def _layered(model: Backend, tokens: Tensor) -> Complaints:
    if not isinstance(model, LayeredBackend) or not isinstance(model, nn.Module):
        return
    for layers in range(model.layers + 1):
        if not torch.equal(model(tokens, model.below(tokens, layers)), model(tokens)):
            yield f"begun above its first {layers} layers, a call gives other logits than from the start"
            return


def _roles(model: Backend, tokens: Tensor) -> Complaints:
    roles, weights = roles_of(model), dict(model.named_parameters())
    if not roles:
        return
    if set(roles) != set(weights):
        yield f"weight_roles and named_parameters differ in {sorted(set(roles) ^ set(weights))[:3]}"
        return
    layers = {role.layer for role in roles.values()} - {None}
    if layers != set(range(model.layers)):
        yield f"weights are in layers {sorted(cast(set[int], layers))}; the model says that it has {model.layers}"
    for wanted in (EMBEDDING, HEAD):
        if not any(wanted in role.roles for role in roles.values()):
            yield f"no weight has the role {wanted}"


def _gradients(model: Backend, tokens: Tensor) -> Complaints:
    if not isinstance(model, nn.Module):
        return
    roles = roles_of(model)
    with torch.enable_grad():
        leaves = {name: one.detach().clone().requires_grad_() for name, one in model.named_parameters()}
        logits = functional_call(model, leaves, (tokens[:, :-1],))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    for name, gradient in zip(leaves, gradients, strict=True):
        role = roles.get(name)
        if gradient is None or not gradient.isfinite().all():
            yield f"no finite gradient reaches {name}"
        elif role and not gradient.any() and OTHER not in role.roles and not role.matches(f"*{BIAS}"):
            yield f"the gradient of {name} is zero everywhere"


def _lacks(model: Backend) -> Complaints:
    if not isinstance(model, nn.Module):
        yield "it is no torch module: strategies that train weights cannot use it"
    elif not roles_of(model):
        yield "it has no weight_roles: strategies choose its weights by name, and ttt.freeze is refused"
    unknown = _without_role(model)
    if unknown:
        yield f"matrices without a role, which strategies that ask for roles leave alone: {', '.join(unknown[:3])}"
    if not isinstance(model, IncrementalBackend):
        yield "it has no cache (start_cache, extend): step mode, encoding and decoding read every row from its start"


def _without_role(model: Backend) -> list[str]:
    roles, weights = roles_of(model), dict(model.named_parameters())
    matrices = [name for name, weight in weights.items() if weight.ndim == 2 and min(weight.shape) > 2]
    return [name for name in matrices if name in roles and roles[name].roles == (OTHER,)
            and roles[name].layer is not None]  # fmt: skip


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-9))

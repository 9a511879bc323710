"""What the engine and the trainer ask of a model, and how one is built from an artifact's content.

:class:`Backend` is what every model must be. The rest is optional, and what a model leaves out decides what can run:

* a torch module whose call gives ``head(hidden(tokens))``: without it, strategies that train weights are refused;
* :class:`RoledBackend`: without it, strategies find weights by name only, and cannot ask for layers;
* :class:`IncrementalBackend`: without it, step mode, encoding and decoding read every row from its start;
* :class:`ForgettingBackend`: without it, plans whose windows read on (``stream``) are refused;
* an attribute ``states_are_logits = True`` says that there are no states to show (``hidden`` gives logits, ``head``
  hands them on): strategies that work on hidden states are refused.

``evaladapt.testing.check_model`` tries all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from evaladapt.errors import ArtifactError, UsageError, near_miss
from evaladapt.model.config import ModelConfig
from evaladapt.model.roles import WeightRole
from evaladapt.model.transformer import Transformer


@runtime_checkable
class Backend(Protocol):
    """A frozen or trainable causal language model.

    ``hidden`` must be strictly causal, and no row's result may depend on another row. In evaluation mode, so that the
    same tokens give the same states; float32 on a CPU. Inputs are on the device of the parameters, which require no
    gradient; gradients are taken with respect to the hidden states handed to ``head``, and through
    ``torch.func.functional_call`` on the module.
    """

    @property
    def vocab_size(self) -> int:
        """Size of the last axis of the logits."""

    @property
    def hidden_size(self) -> int:
        """Size of the last axis of the hidden states."""

    @property
    def layers(self) -> int:
        """Number of layers."""

    @property
    def context(self) -> int:
        """Window length the model was trained on, in tokens."""

    def hidden(self, tokens: Tensor) -> Tensor:
        """Final states ``[B, S, D]`` of ``tokens [B, S]`` int64; state ``s`` predicts token ``s + 1``.

        ``S`` may be anything from 1 up to ``context``, and more where the model can read more; a model that cannot
        raises :class:`~evaladapt.errors.UsageError` with the length that it can.
        """

    def head(self, hidden: Tensor) -> Tensor:
        """Logits ``[..., V]`` of final states ``[..., D]``, with all that follows them: bias, scale, soft cap.

        Differentiable in ``hidden``.
        """

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Weights by name; the order is the same in every process."""


@runtime_checkable
class TailBackend(Backend, Protocol):
    """A model that need not work out the states of a row that nobody asks for; scoring uses it where it is offered."""

    def hidden_from(self, tokens: Tensor, first: int) -> Tensor:
        """``hidden(tokens)[:, first:]``, up to rounding: final states ``[B, S - first, D]`` of ``tokens [B, S]``."""


@runtime_checkable
class CappedHeadBackend(Backend, Protocol):
    """A model whose ``head`` is ``cap tanh(W h / cap)`` and nothing else, and which says so."""

    @property
    def head_cap(self) -> float:
        """The cap of the logits."""

    def head_matrix(self) -> Tensor:
        """W ``[V, D]``, as it is now."""


@runtime_checkable
class IncrementalBackend(Backend, Protocol):
    """A model that can continue rows it has read, which step mode uses where it is offered."""

    def start_cache(self, rows: int, width: int) -> Any:
        """An empty cache for ``rows`` rows of at most ``width`` tokens."""

    def extend(self, tokens: Tensor, cache: Any) -> Tensor:
        """Final states ``[B, S, D]`` of ``tokens [B, S]`` int64 that continue the rows of ``cache``,
        and add them to it.

        Equal to the last states of ``hidden`` over whole rows up to rounding, and bit for bit the same for the same
        sequence of calls.
        """


@runtime_checkable
class ForgettingBackend(IncrementalBackend, Protocol):
    """A model whose cache can let go of what is far back, so that one row goes on through a whole text."""

    def forget(self, cache: Any, columns: int, sinks: int) -> None:
        """Let go of ``columns`` columns of every row of ``cache`` after its first ``sinks``.

        What follows takes their places, positions included; what it was computed from stays in it.
        """


@runtime_checkable
class LayeredBackend(Backend, Protocol):
    """A module whose call can begin above its first layers, so that what they made of a row serves again."""

    def below(self, tokens: Tensor, layers: int) -> Any:
        """What the first ``layers`` layers make of ``tokens [B, S]``: ``model(tokens, below)`` is ``model(tokens)``."""


@runtime_checkable
class RoledBackend(Backend, Protocol):
    """A model that says what its weights do; without it, strategies that train some layers or matrices are refused."""

    def weight_roles(self) -> Mapping[str, WeightRole]:
        """Role and layer of every name in ``named_parameters``."""


def roles_of(model: Backend) -> Mapping[str, WeightRole]:
    """What a model's weights do; nothing where it does not say."""
    return model.weight_roles() if isinstance(model, RoledBackend) else {}


def transformer_from_tensors(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Transformer:
    """Build the transformer that ``config`` describes and fill it with copies of ``tensors``.

    Raises :class:`ArtifactError` when the configuration is invalid, when a tensor is missing or not the model's, or
    when a shape differs.
    """
    try:
        model_config = ModelConfig.from_dict(config)
    except UsageError as error:
        raise ArtifactError(f"the model configuration cannot be used: {error}") from error
    if len(tensors) < model_config.layers + model_config.mtp_heads:
        raise ArtifactError(
            f"the model configuration says {model_config.layers} layers and {model_config.mtp_heads} heads for tokens"
            f" ahead; there are {len(tensors)} tensors."
        )
    with torch.device("meta"):
        model = Transformer(model_config)
    expected = dict(model.named_parameters())
    for name in tensors:
        if name not in expected:
            raise ArtifactError(f"tensor {name!r} is not part of this model.{near_miss(name, expected)}")
    for name, parameter in expected.items():
        if name not in tensors:
            raise ArtifactError(f"tensor {name!r} of shape {list(parameter.shape)} is missing from the artifact.")
        if tensors[name].shape != parameter.shape:
            given, wanted = list(tensors[name].shape), list(parameter.shape)
            raise ArtifactError(f"tensor {name!r} has shape {given}; the model configuration says {wanted}.")
    weights = {name: tensor.detach().to(torch.float32, copy=True) for name, tensor in tensors.items()}
    model.load_state_dict(weights, assign=True)
    return model

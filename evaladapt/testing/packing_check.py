"""What :func:`~evaladapt.testing.model_check.check_model` asks of a family whose models can be packed."""

from __future__ import annotations

import json

import torch

from evaladapt.model.families import OpenedModel, find_family
from evaladapt.model.family import Opened, PackableFamily
from evaladapt.model.freezing import freeze
from evaladapt.testing.complaints import Complaints

TOKENS = 8
AGREES = 1e-5
"""Largest difference between the logits of a model and those of what was taken apart and put together again, relative
to the largest."""


@torch.no_grad()
def packing_complaints(opened: OpenedModel) -> Complaints:
    """What would be lost if the model were packed; nothing where its family does not pack.

    Raises:
        ModelError: what the family gives could not be opened again.
    """
    family = find_family(opened.reference).family
    if not isinstance(family, PackableFamily):
        return
    own = opened.backend
    frozen = freeze(opened.family, family, Opened(own, opened.tokenizer, ()))
    if json.loads(json.dumps(frozen.config)) != frozen.config:
        yield "the configuration that freeze gives comes back changed from JSON"
    thawed = family.thaw(frozen.config, {name: tensor.detach().clone() for name, tensor in frozen.tensors.items()})
    if thawed.context != own.context:
        yield f"thaw gives a model of context {thawed.context}, and freeze was given one of {own.context}"
    tokens = torch.arange(min(TOKENS, own.context))[None] % own.vocab_size
    expected = own.head(own.hidden(tokens))
    if (thawed.head(thawed.hidden(tokens)) - expected).abs().max() > AGREES * expected.abs().max():
        yield "thaw makes another model of what freeze gives: its logits differ"

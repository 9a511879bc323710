"""A model taken apart for an artifact and held against what it was, so that nothing is packed that cannot be opened."""

from __future__ import annotations

from dataclasses import replace

from evaladapt.errors import EvaladaptError, ModelError, UsageError
from evaladapt.model.family import FAMILY, FrozenModel, ModelFamily, Opened, PackableFamily

SEE = "See: plugins/MODELS.md, Packing"


def packable(name: str, family: ModelFamily) -> PackableFamily:
    """The family called ``name``, if its models can be packed. Raises :class:`UsageError`."""
    if not isinstance(family, PackableFamily):
        raise UsageError(f"models of {name!r} cannot be packed: its family has no freeze. {SEE}")
    return family


def freeze(name: str, family: PackableFamily, opened: Opened) -> FrozenModel:
    """What the family called ``name`` makes of a model for an artifact, with that name in the configuration.

    Raises:
        ModelError: what it gives could not be opened again; the message says what is wrong.
    """
    given = family.freeze(opened)
    frozen = replace(given, config={**given.config, FAMILY: name})
    wrong = _other_family(name, given) or _other_names(frozen, opened) or _other_tokenizer(family, frozen, opened)
    if wrong:
        raise ModelError(f"model family {name!r}: {wrong}. {SEE}")
    return frozen


def _other_family(name: str, given: FrozenModel) -> str | None:
    said = given.config.get(FAMILY, name)
    return None if said == name else f"freeze gives {FAMILY!r} {said!r} in its configuration, where its name stands"


def _other_names(frozen: FrozenModel, opened: Opened) -> str | None:
    own = {name for name, _ in opened.backend.named_parameters()}
    for name in sorted(own ^ set(frozen.tensors)):
        has, lacks = ("the model", "freeze") if name in own else ("freeze", "the model")
        return f"{has} has a weight {name!r} and {lacks} has none; the names are those of named_parameters"
    return None


def _other_tokenizer(family: PackableFamily, frozen: FrozenModel, opened: Opened) -> str | None:
    if not frozen.tokenizer:
        return "freeze gives an empty tokenizer; where thaw_tokenizer needs nothing, give the tokenizer's name as bytes"
    try:
        thawed = family.thaw_tokenizer(frozen.config, frozen.tokenizer)
    except EvaladaptError as error:
        return f"thaw_tokenizer does not take what freeze gives: {error}"
    if thawed.sha256 != opened.tokenizer.sha256:
        own = opened.tokenizer.sha256
        return f"thaw_tokenizer gives a tokenizer of sha256 {thawed.sha256[:16]}, and the model's is {own[:16]}"
    return None

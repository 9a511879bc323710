"""Model families: how a model of any kind is found by what a person names, and opened.

A *reference* is a path, the name of an artifact that ships, or ``family:where`` (``hf:FOLDER``, ``golf:FILE``,
``python:module:function``). Families are found by entry point, ours like a stranger's; this module imports neither a
family that is not needed nor torch. What a family must offer is :class:`~evaladapt.model.family.ModelFamily`; what
comes of it is an :class:`OpenedModel`, and from there on a model is a model.

Opening runs the family's code. Where that must not happen (the process that holds the text), :func:`tokenizer_is_ours`
and :func:`open_tokenizer` serve: they import families of this distribution only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaladapt.errors import EvaladaptError, ModelError, PluginError, near_miss
from evaladapt.model.family import FAMILY_PARTS, ContainerFamily, ModelFamily, Opened, Placed, path_placed
from evaladapt.system import entry_points
from evaladapt.system.entry_points import Listing

if TYPE_CHECKING:
    import torch

    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.model.backend import Backend

SEE = "See: evaladapt models list"


@dataclass(frozen=True)
class FileUsed:
    """A file that a model was read from."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class OpenedModel:
    """A model ready to predict, its tokenizer, and what identifies it."""

    backend: Backend
    tokenizer: Tokenizer
    family: str
    reference: str
    files: tuple[FileUsed, ...]

    @property
    def identity(self) -> str:
        """SHA-256 of the one file, or of all: then of a line ``sha256  name`` for each, sorted, as sha256sum prints.

        Names are relative to the folder that holds all of them, so a folder may be moved.
        """
        if len(self.files) == 1:
            return self.files[0].sha256
        root = os.path.commonpath([os.path.dirname(file.path) for file in self.files]) if self.files else ""
        lines = sorted(f"{file.sha256}  {Path(os.path.relpath(file.path, root)).as_posix()}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Found:
    """A reference resolved: the family, its name, and the part of the reference that is the family's to read."""

    name: str
    family: ModelFamily
    where: str
    is_ours: bool


def open_model(reference: str, device: torch.device) -> OpenedModel:
    """Open the model that ``reference`` names, on ``device``.

    Raises:
        ModelError: no family knows it; the message says what each would need.
        EvaladaptError: its family cannot open it.
    """
    found = find_family(reference)
    try:
        opened = found.family.open(found.where, device)
    except EvaladaptError:
        raise
    except Exception as error:  # whatever a stranger's family raises
        raise ModelError(
            f"{reference}: the model family {found.name!r} failed with {type(error).__name__}: {error}."
            f" It wants {found.family.wants}"
        ) from error
    refuse_other_vocabulary(opened, reference)
    files = tuple(_file_used(path) for path in opened.files)
    return OpenedModel(opened.backend, opened.tokenizer, found.name, reference, files)


def tokenizer_is_ours(reference: str) -> bool:
    """Whether the tokenizer may be opened in the process that holds the text; imports no stranger's code."""
    found = _resolve(reference, strangers=False)
    if found is None or not found.family.tokenizer_is_ours:
        return False
    inside = found.family.family_inside(found.where) if isinstance(found.family, ContainerFamily) else None
    return inside is None or tokenizer_is_ours(f"{inside}:")


def open_tokenizer(reference: str) -> Tokenizer:
    """The tokenizer of a model whose :func:`tokenizer_is_ours`.

    Raises:
        ModelError: it is a stranger's.
        EvaladaptError: it cannot be opened.
    """
    found = _resolve(reference, strangers=False)
    if found is None or not tokenizer_is_ours(reference):
        raise ModelError(f"{reference}: the tokenizer is not evaladapt's own code, so it is opened beside its model.")
    return found.family.open_tokenizer(found.where)


def placed(reference: str) -> Placed:
    """A reference for a process in another folder, and what that process has to be allowed to read.

    Runs no stranger's code: of a stranger's reference it is taken that the part behind the family's name is a path.
    """
    prefix, colon, _ = reference.partition(":")
    named_first = f"{prefix}:" if colon and any(listing.alias == prefix for listing in installed()) else ""
    found = _resolve(reference, strangers=False)
    where = reference.removeprefix(named_first)
    place = found.family.placed(where) if found else path_placed(where)
    return Placed(named_first + place.where, place.reads)


def find_family(reference: str) -> Found:
    """The family of a reference. A bare path is offered to our families first and to strangers' after that.

    Raises:
        ModelError: none claims it, or more than one; the message says what each family would need.
        PluginError: a family's import fails.
    """
    found = claimed(reference)
    if found is None:
        raise ModelError(_nobody_claims(reference))
    return found


def claimed(reference: str) -> Found | None:
    """As :func:`find_family`; None where no family claims it."""
    return _resolve(reference, strangers=True)


def installed() -> list[Listing]:
    """Every family that is installed, sorted; imports none."""
    return entry_points.installed(entry_points.MODELS)


def load(listing: Listing) -> ModelFamily:
    """Import a family and build it.

    Raises:
        PluginError: that fails, or it lacks a part of :class:`ModelFamily`.
    """
    broken = f"model family {listing.alias!r} of {listing.distribution} {listing.version}"
    try:
        family: ModelFamily = listing.entry_point.load()()
    except EvaladaptError:
        raise
    except Exception as error:  # whatever a stranger's module raises while it is imported is that distribution's fault
        raise PluginError(
            f"{broken}: {listing.entry_point.value} failed with {type(error).__name__}: {error}."
            f" Mend or remove it: pip uninstall {listing.distribution}"
        ) from error
    missing = [part for part in FAMILY_PARTS if not hasattr(family, part)]
    if missing:
        raise PluginError(f"{broken}: it lacks {', '.join(missing)} of evaladapt.model.family.ModelFamily")
    return family


def named(name: str) -> Listing:
    """The family called ``name``.

    Raises:
        ModelError: there is none, or two distributions bring one of that name.
    """
    listings = installed()
    matches = [listing for listing in listings if listing.alias == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        owners = " and ".join(f"{one.distribution} {one.version}" for one in matches)
        raise ModelError(f"model family {name!r} is provided by {owners}. Remove one of them: pip uninstall NAME")
    names = [listing.alias for listing in listings]
    raise ModelError(
        f"no model family {name!r} is installed.{near_miss(name, names)} Installed: {entry_points.shown(names)}. {SEE}"
    )


def _resolve(reference: str, strangers: bool) -> Found | None:
    prefix, colon, where = reference.partition(":")
    listings = installed()
    if colon and any(listing.alias == prefix for listing in listings):
        listing = named(prefix)
        return _found(listing, where) if strangers or listing.is_ours else None
    if colon and prefix.isidentifier() and len(prefix) > 1 and not os.path.exists(reference):
        named(prefix)  # says which families there are
    for ours in (True, False) if strangers else (True,):
        claims = [found for found in _loaded(listings, ours, reference) if found.family.claims(reference)]
        if len(claims) > 1:
            choices = " or ".join(f"{found.name}:{reference}" for found in claims)
            raise ModelError(f"{reference} could be of more than one model family. Say which: {choices}")
        if claims:
            return claims[0]
    return None


def _loaded(listings: list[Listing], ours: bool, where: str) -> Iterator[Found]:
    return (_found(listing, where) for listing in listings if listing.is_ours == ours)


def _found(listing: Listing, where: str) -> Found:
    return Found(listing.alias, load(listing), where, listing.is_ours)


def _nobody_claims(reference: str) -> str:
    kind = "no such file or folder" if not os.path.exists(reference) else "no model family takes it"
    wants = [f"  {listing.alias}: {load(listing).wants}" for listing in installed()]
    return "\n".join([f"{reference!r} is no model that can be opened: {kind}. A model is one of", *wants, SEE])


def _file_used(path: Path) -> FileUsed:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileUsed(str(path), os.fstat(file.fileno()).st_size, digest)


def refuse_other_vocabulary(opened: Opened, reference: str) -> None:
    """With fewer logits than ids some targets have no probability; with more, some are paid for and never come.

    Raises:
        ModelError: model and tokenizer do not belong together.
    """
    logits, ids = opened.backend.vocab_size, opened.tokenizer.vocab_size
    if logits != ids:
        raise ModelError(
            f"{reference}: the model predicts {logits} tokens and its tokenizer has {ids}: they do not belong together."
        )

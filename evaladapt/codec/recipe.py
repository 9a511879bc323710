"""What a decoder must do to make the same predictions: strategies, options, batch and seed, as compact JSON."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

import evaladapt
from evaladapt.codec.problems import CodecError
from evaladapt.contract.composition import Composition, Member, compose
from evaladapt.contract.options import OptionValue
from evaladapt.engine.record import describe
from evaladapt.system.strict_json import Malformed, TextLimits, canonical_json, parse_json

HASH_BYTES = 16
JSON_DEPTH = 4
MAX_THREADS = 1024
MAX_BYTES = (1 << 16) - 1
"""Longest recipe that an ``.evz`` file has room for."""
DEFAULTS: Mapping[str, object] = {"options": {}, "batch": 16, "seed": 0}
"""What a file leaves out."""

Compose = Callable[[Sequence[str], Mapping[str, Mapping[str, object]]], Composition]
"""From names and options to a composition; :func:`evaladapt.contract.composition.compose` unless a test has its own."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A composition by names, with those options that differ from their defaults.

    ``made`` says by which versions the file was written.
    """

    plugins: tuple[str, ...]
    threads: int
    made: str
    options: Mapping[str, Mapping[str, OptionValue]]
    batch: int
    seed: int

    def to_json(self) -> bytes:
        """Compact, the same for the same recipe; what has its default is left out.

        Raises:
            CodecError: the options are too long for a file.
        """
        content = {**dataclasses.asdict(self), "plugins": ",".join(self.plugins)}
        told = {name: value for name, value in content.items() if value != DEFAULTS.get(name)}
        encoded = canonical_json(told).encode()
        if len(encoded) > MAX_BYTES:
            raise CodecError(f"strategies and options take {len(encoded):,} bytes; a file has room for {MAX_BYTES:,}")
        return encoded

    @classmethod
    def from_json(cls, raw: bytes) -> Recipe:
        """Read what :meth:`to_json` wrote.

        Raises:
            CodecError: it is something else.
        """
        try:
            found = parse_json(raw, "The recipe", TextLimits(depth=JSON_DEPTH))
        except Malformed as error:
            raise CodecError(f"the file's recipe cannot be read: {error}") from error
        types = {"plugins": str, "threads": int, "made": str, "options": dict, "batch": int, "seed": int}
        whole = {**DEFAULTS, **found} if isinstance(found, dict) else {}
        if {name: type(value) for name, value in whole.items()} != types:
            raise CodecError(f"the file's recipe does not hold {', '.join(types)} and nothing else")
        if whole["batch"] < 1:
            raise CodecError(f"the file's recipe names a batch size of {whole['batch']}")
        if not 1 <= whole["threads"] <= MAX_THREADS:
            raise CodecError(f"the file's recipe asks for {whole['threads']} threads; it is 1 to {MAX_THREADS}")
        if not all(isinstance(given, dict) for given in whole["options"].values()):
            raise CodecError("the file's recipe holds options that are no table")
        return cls(**{**whole, "plugins": tuple(whole["plugins"].split(","))})

    def compose(self, by: Compose = compose) -> Composition:
        """The composition, from what is installed here."""
        return by(self.plugins, self.options)


def recipe_of(composition: Composition, batch: int, seed: int) -> Recipe:
    """The recipe of a composition."""
    options = {member.alias: _set_options(member) for member in composition.members}
    return Recipe(
        plugins=tuple(member.alias for member in composition.members),
        options={alias: given for alias, given in options.items() if given},
        batch=batch,
        seed=seed,
        threads=torch.get_num_threads(),
        made=made_here(),
    )


def made_here() -> str:
    """Versions that decide whether another machine can read what this one writes."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{evaladapt.__version__}, torch {torch.__version__}, {capability}"


def composition_hash(composition: Composition, batch: int, seed: int) -> bytes:
    """First half of the SHA-256 over every option, default or not, and every distribution's version."""
    content: dict[str, Any] = {"composition": describe(composition), "batch": batch, "seed": seed}
    return hashlib.sha256(canonical_json(content).encode()).digest()[:HASH_BYTES]


def _set_options(member: Member) -> dict[str, OptionValue]:
    defaults = {field.name: field.default for field in dataclasses.fields(member.options)}
    return {name: value for name, value in dataclasses.asdict(member.options).items() if value != defaults[name]}

"""What a decoder must do to make the same predictions: strategies, options, batch and seed, as compact JSON."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaladapt.codec.problems import CodecError
from evaladapt.contract.options import OptionValue
from evaladapt.errors import DataError
from evaladapt.system.strict_json import TextLimits, canonical_json, parse_json

HASH_BYTES = 16
MAX_THREADS = 1024
MAX_BYTES = (1 << 16) - 1
"""Longest recipe that an ``.evz`` file has room for."""
LIMITS = TextLimits(depth=4)
DEFAULTS: Mapping[str, object] = {"options": {}, "batch": 16, "seed": 0}
"""What a file leaves out."""
OURS = "evaladapt:"
"""Strategies of this distribution go by their alias; a stranger's by ``distribution:alias``."""


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
            found = parse_json(raw, "the recipe", LIMITS)
        except DataError as error:
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


def recipe_of(ready: Mapping[str, Any], batch: int, seed: int, threads: int) -> Recipe:
    """The recipe of what a performer has composed."""
    members = ready["composition"]
    names = [str(one["name"]).removeprefix(OURS) for one in members]
    chosen = {name: one["chosen"] for name, one in zip(names, members, strict=True) if one["chosen"]}
    return Recipe(plugins=tuple(names), options=chosen, batch=batch, seed=seed, threads=threads, made=made_by(ready))


def made_by(ready: Mapping[str, Any]) -> str:
    """Versions that decide whether another machine can read what a performer writes."""
    versions = ready["versions"]
    return f"{versions['evaladapt']}, torch {versions['torch']}, {versions['cpu']}"


def composition_hash(ready: Mapping[str, Any], batch: int, seed: int) -> bytes:
    """First half of the SHA-256 over every option, default or not, every distribution's version and its code."""
    content: dict[str, Any] = {"composition": ready["composition"], "batch": batch, "seed": seed}
    return hashlib.sha256(canonical_json(content).encode()).digest()[:HASH_BYTES]

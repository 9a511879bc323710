"""What a comparison is of, in the file ``comparison.json`` of its folder, and where its cells lie."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaladapt.errors import DataError, UsageError
from evaladapt.system.files import write_text_atomically
from evaladapt.system.strict_json import Fields, Malformed, read_json, shown

NAME = "comparison.json"
FORMAT = "evaladapt-comparison-1"
LONGEST_NAME = 80


@dataclass(frozen=True)
class Place:
    """A cell, by the places of its names in the manifest; the base has no composition."""

    model: int
    text: int
    composition: int | None
    seed: int
    name: str

    @property
    def is_base(self) -> bool:
        """Whether it is the plan alone."""
        return self.composition is None


@dataclass(frozen=True)
class Manifest:
    """Names in order. ``settings`` is what all cells share, for people and for ``--resume``."""

    models: tuple[str, ...]
    texts: tuple[str, ...]
    compositions: tuple[str, ...]
    seeds: tuple[int, ...]
    plan: str
    settings: Mapping[str, Any]

    def places(self) -> Iterator[Place]:
        """The cells in the order in which they are run: for every model and text the base, then the others."""
        for model in range(len(self.models)):
            for text in range(len(self.texts)):
                where = f"cells/m{model + 1}-t{text + 1}"
                yield Place(model, text, None, 0, f"{where}-base")
                for number, label in enumerate(self.compositions):
                    for seed, value in enumerate(self.seeds):
                        name = f"{where}-s{value}-{number + 1:02}-{_file_name(label)}"
                        yield Place(model, text, number, seed, name)

    def called(self, place: Place) -> str:
        """A cell's name for a person, with what sets it apart."""
        parts = [self.plan if place.composition is None else self.compositions[place.composition]]
        if len(self.models) > 1:
            parts.append(self.models[place.model])
        if len(self.texts) > 1:
            parts.append(self.texts[place.text])
        if len(self.seeds) > 1 and place.composition is not None:
            parts.append(f"seed {self.seeds[place.seed]}")
        places = list(self.places())
        return f"{places.index(place) + 1}/{len(places)} {' · '.join(parts)}"

    def save(self, folder: Path) -> None:
        """Write it."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        write_text_atomically(folder / NAME, json.dumps(content, indent=2) + "\n")

    def refuse_other(self, found: Manifest, folder: Path) -> None:
        """For a comparison that is to be resumed.

        Raises:
            UsageError: the one in ``folder`` is another; the message says in what.
        """
        for name in ("models", "texts", "compositions", "seeds", "plan", "settings"):
            here, there = getattr(self, name), getattr(found, name)
            if here != there:
                raise UsageError(
                    f"{folder} holds another comparison: its {name} are {shown(_plain(there))} and here they are"
                    f" {shown(_plain(here))}. Resume it as it was asked for, or take another --out"
                )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a comparison's folder.

    Raises:
        DataError: there is none, or it is damaged.
    """
    path = folder / NAME
    if not path.exists():
        raise DataError(f"{folder} holds no comparison: it has no {NAME}. evaladapt compare --out FOLDER makes one")
    content = read_json(path)
    try:
        fields = Fields(content, str(path))
        if fields.text("format") != FORMAT:
            raise DataError(
                f"{path} is of the format {shown(fields.text('format'))}, and this evaladapt reads {FORMAT}"
            )
        names = {name: tuple(fields.each(name)) for name in ("models", "texts", "compositions", "seeds")}
        seeds = names.pop("seeds")
        if not all(isinstance(one, str) for column in names.values() for one in column):
            raise Malformed(f"{path}: names are strings")
        if not all(type(one) is int for one in seeds) or not all([*names.values(), seeds]):
            raise Malformed(f"{path}: seeds are whole numbers, and of everything there is one at least")
        fields.fields("settings")
        return Manifest(**names, seeds=seeds, plan=fields.text("plan"), settings=content["settings"])
    except Malformed as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _file_name(label: str) -> str:
    return re.sub(r"[^\w.,=+-]", "_", label)[:LONGEST_NAME]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

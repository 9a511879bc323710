"""What a player says of itself before it is sealed, held against what its judge knows.

It comes from a process in which a stranger's code has run, so every field has its kind, and nothing is believed that
can be seen from here: how many strategies were asked for, on what device, and the file of the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaladapt.engine.player.protocol import Rows
from evaladapt.errors import PluginError
from evaladapt.system.strict_json import Fields, Malformed, parse_json

MOST_TOKENS = 1 << 24
ARTIFACT = ".eva"
"""A model in one file, whose identity is that file's hash."""
WHAT = "what the player says of itself"


def read_ready(content: bytes, *, model: str, names: Sequence[str], plan: str | None, device: str) -> dict[str, Any]:
    """The message, checked.

    Args:
        content: as it came.
        model: its reference.
        names: of the strategies that were asked for.
        plan: the one that was taken for the base, ``distribution:alias``; None where it is not the base.
        device: that was asked for.

    Raises:
        PluginError: it is nonsense, or it lies.
    """
    try:
        found = parse_json(content, WHAT)
        fields = Fields(found, WHAT)
        _check_kinds(fields)
    except Malformed as error:
        raise PluginError(f"the player talks nonsense: {error}") from None
    members = len(found["composition"])
    if members not in ((1,) if plan else (len(names), len(names) + 1)):
        raise PluginError(f"the player says that it composed {members} strategies of {', '.join(names) or 'none'}")
    if plan not in (None, plan_of(found)) or found["base_line"] != found["composition"][0]["alias"]:
        raise PluginError(f"the player says that its plan is {plan_of(found)}, called {found['base_line']!r}")
    if device == "cpu" and found["device"] != device:
        raise PluginError(f"the player says that it runs on {found['device']!r}, and it was told {device}")
    if Path(model).suffix == ARTIFACT and Path(model).is_file():
        _refuse_other_model(fields.fields("model"), Path(model))
    return dict(found)


def plan_of(ready: Mapping[str, Any]) -> str:
    """``distribution:alias`` of the plan of a composition, by what its player says of itself."""
    first = ready["composition"][0]
    return f"{first['distribution']}:{first['alias'].removeprefix(first['distribution'] + ':')}"


def _check_kinds(fields: Fields) -> None:
    for member in fields.fields_of_each("composition"):
        for name in ("alias", "name", "distribution", "version", "stage", "scope"):
            member.text(name)
        member.fields("options")
    for name in ("line", "base_line", "device"):
        fields.text(name)
    for name in ("peeking", "breaks"):
        if not all(isinstance(one, str) for one in fields.each(name)):
            raise Malformed(f"{WHAT}: {name!r} holds something else than names.")
    fields.whole("rows", min(Rows), max(Rows))
    fields.flag("predicts_without_trace")
    fields.whole("vocab_size", 1, MOST_TOKENS)
    fields.fields("versions")
    model = fields.fields("model")
    model.whole("bytes")
    for name in ("family", "reference", "sha256", "path", "weights_sha256"):
        model.text(name)
    for file in fields.fields_of_each("files"):
        file.whole("bytes")
        for name in ("path", "sha256"):
            file.text(name)


def _refuse_other_model(said: Fields, file: Path) -> None:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if (said.text("sha256"), said.whole("bytes")) != (sha256, file.stat().st_size):
        raise PluginError(f"the player says that it read another model than {file}")

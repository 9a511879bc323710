"""What a run is asked for, before anything of it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.engine.loop import Settings
from evaladapt.errors import UsageError
from evaladapt.judge.charging import Boundaries
from evaladapt.judge.player.players import PATIENCE
from evaladapt.judge.player.recipe import Recipe
from evaladapt.model.families import OpenedModel, placed
from evaladapt.system.cores import default_threads, device_named

Level = Literal["off", "sample", "full"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""How much a run is doubted: not at all, by looks for a tenth of its time, or by looks at every group of batches."""


@dataclass(frozen=True, kw_only=True)
class Composed:
    """Strategies by name, in the user's order, with options as given."""

    names: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    allow_noncausal: bool = False

    @property
    def line(self) -> str:
        """For messages and folders, before anybody has composed it."""
        return ",".join(self.names) or "sliding"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to evaluate.

    Attributes:
        model: reference of a model.
        opened: the model itself, where it is in this process's memory already; such a request is carried out inline.
        composed: the strategies.
        open_text: opens the text; called when every player is sealed, and not before.
        paths: files of the text, as they were named; none for the default text.
        text_field: of the records that hold it, where one was named.
        inline: run everything in this process, for a debugger; the verdict is UNCHECKED.
        doubt: how much twins are asked.
        with_base: also score the plan alone, to compare with.
        folder: where ledgers and snapshots go; without it nothing is written and nothing can be resumed.
        resume: continue what an interrupted run of the same request left in ``folder``.
        processes: how many processes carry out this request together, see :mod:`evaladapt.system.processes`.
        writes: whether this process of them writes to ``folder``.
        patience: seconds that a player may take for one answer.
        allow_read: files and folders that strategies may read while they are loaded, beside what is installed.
    """

    model: str = "default"
    opened: OpenedModel | None = None
    composed: Composed = field(default_factory=Composed)
    open_text: Callable[[Tokenizer], TokenStream]
    paths: tuple[str, ...] = ()
    text_field: str | None = None
    settings: Settings = field(default_factory=Settings)
    boundaries: Boundaries = "paid"
    inline: bool = False
    doubt: Level = "sample"
    with_base: bool = True
    folder: Path | None = None
    resume: bool = False
    device: str = "cpu"
    threads: int = field(default_factory=default_threads)
    processes: int = 1
    writes: bool = True
    patience: float = PATIENCE
    allow_read: tuple[Path, ...] = ()
    say: Callable[[str], None] = field(default=lambda _: None, compare=False)

    def recipe(self, *, base: bool) -> Recipe:
        """What a player is told: of the composition, or of its plan alone."""
        return Recipe(
            model=self.model if self.opened else located(self.model),
            model_files=() if self.opened else model_files(self.model),
            names=self.composed.names,
            options=self.composed.options,
            allow_noncausal=self.composed.allow_noncausal,
            settings=self.settings,
            device=device_named(self.device),
            threads=self.threads,
            base=base,
            processes=self.processes,
            allow_read=self.allow_read,
        )

    def facts(self, ready: Mapping[str, Any], tokens_sha256: str) -> dict[str, Any]:
        """Everything that the ledger of a pass depends on; runs of the same facts may continue each other."""
        members = {str(one["name"]): one for one in ready["composition"]}
        return {
            "model": ready["model"]["sha256"],
            "text": tokens_sha256,
            "strategies": list(members),
            **{f"options of {name}": one["options"] for name, one in members.items()},
            **{f"code of {name}": f"{one['version']} {one['code_sha256']}" for name, one in members.items()},
            **asdict(self.settings),
            "boundaries": self.boundaries,
            "threads": self.threads,
            "processes": self.processes,
            "device": ready["device"],
            **ready["versions"],
        }


def level_named(name: str) -> Level:
    """The level a person named.

    Raises:
        UsageError: there is no such level.
    """
    for level in LEVELS:
        if level == name:
            return level
    raise UsageError(f"--audit {name!r} is none of {', '.join(LEVELS)}")


def located(reference: str) -> str:
    """The reference with absolute paths, and that of an artifact that ships for its name: a player lists no folder."""
    return placed(reference).where


def model_files(reference: str) -> tuple[Path, ...]:
    """Where a player may read a model from."""
    return placed(reference).reads

"""Sealed players for both sides of a coded text: in step mode, ready with a canary, the same threads on both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from evaladapt.codec.decode import Seated
from evaladapt.codec.recipe import Recipe as FileRecipe
from evaladapt.engine.loop import Settings
from evaladapt.judge.player.performers import Performer, Seat, seat_all
from evaladapt.judge.player.players import PATIENCE
from evaladapt.judge.player.recipe import Recipe
from evaladapt.judge.request import located, model_files


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What both sides of a coded text need to be told: a model and a composition."""

    model: str = "default"
    names: Sequence[str] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    batch: int = 16
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    patience: float = PATIENCE
    allow_read: tuple[Path, ...] = ()

    @contextmanager
    def seated(self) -> Iterator[Seat]:
        """A player for it, sealed; it ends with the block."""
        recipe = Recipe(
            model=located(self.model),
            model_files=model_files(self.model),
            names=tuple(self.names),
            options=self.options,
            settings=Settings(batch=self.batch, seed=self.seed, mode="step"),
            device=self.device,
            threads=self.threads,
            with_canary=True,
            allow_read=self.allow_read,
        )
        with ExitStack() as stack:
            (seat,) = seat_all([recipe], self.patience, stack)
            yield seat


def seats_for(model: str, device: str = "cpu", patience: float = PATIENCE) -> Seated:
    """Makes the player that a file's recipe asks for."""

    @contextmanager
    def seated(recipe: FileRecipe) -> Iterator[Performer]:
        coding = Coding(model=model, names=recipe.plugins, options=recipe.options, batch=recipe.batch,
                        seed=recipe.seed, threads=recipe.threads, device=device, patience=patience)  # fmt: skip
        with coding.seated() as seat:
            yield seat

    return seated

"""How to train: the numbers of a preset, read from TOML and checked. No torch import.

A preset file has two tables, ``[model]`` (see ``evaladapt.model.config``; the vocabulary comes from the tokenizer) and
``[train]`` (the fields of :class:`TrainSettings`). The command line picks one; the trainer obeys it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from evaladapt.errors import DataError, UsageError, near_miss
from evaladapt.model.config import ModelConfig
from evaladapt.system.strict_json import Malformed, read_toml

PRESET_FOLDER = Path(__file__).parent / "presets"
MAY_BE_ZERO = frozenset(
    {
        "matrix_weight_decay",
        "embedding_weight_decay",
        "warmup_steps",
        "warmdown_fraction",
        "ema_decay",
        "rounded_fraction",
    }
)
FRACTIONS = frozenset(
    {
        "matrix_momentum",
        "ema_decay",
        "warmdown_fraction",
        "rounded_fraction",
        "tight_below",
        "adam_beta1",
        "adam_beta2",
    }
)
CHOICES = {
    "precision": ("auto", "float32", "bfloat16"),
    "compiled": ("auto", "on", "off"),
    "averaging": ("ema", "tight"),
}


@dataclass(frozen=True)
class TrainSettings:
    """Everything about a training but its data, its length and its seed. Learning rates are peaks."""

    rows: int = 8
    """Windows per step, over all processes; a window has the model's ``context`` tokens."""
    document_masks: bool = False
    """Whether attention stays within a document. By default it reads on across documents, as ``sliding`` does."""
    accumulate: int = 1
    """Parts that a process reads its windows in; more need less memory and change nothing else."""
    matrix_lr: float = 0.02
    matrix_momentum: float = 0.95
    matrix_weight_decay: float = 0.04
    embedding_lr: float = 0.02
    embedding_weight_decay: float = 0.0
    scalar_lr: float = 0.02
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    clip_norm: float = 1.0
    ema_decay: float = 0.99
    warmup_steps: int = 20
    warmdown_fraction: float = 0.4
    """Share of the budget, at its end, over which learning rates fall linearly to zero."""
    validate_every: int = 200
    """Steps between validations; there is always one at the end."""
    validation_tokens: int = 32_768
    """Tokens scored per source in one validation."""
    checkpoint_minutes: float = 3.0
    averaging: str = "ema"
    """ema: of all steps, with ``ema_decay``; tight: evenly over the steps whose rates are below ``tight_below``."""
    tight_below: float = 0.2
    """Share of the peak rates."""
    rounded_fraction: float = 0.0
    """Share of the budget, at its end, in which the loss is taken at weights rounded as ``pack`` would."""
    rounded_bits: int = 6
    """Bits of matrices then."""
    rounded_embedding_bits: int = 8
    precision: str = "auto"
    """Of matrix products: float32, bfloat16, or auto, which is bfloat16 where the hardware multiplies it."""
    compiled: str = "auto"
    """Whether torch.compile makes kernels of the loss: on, off, or auto, which is on for CUDA."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", "float"):
                self._check(field.name, value, whole=field.type == "int")
            elif field.type == "bool" and not isinstance(value, bool):
                raise UsageError(f"train: {field.name} must be true or false, not {value!r}.")
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise UsageError(
                    f"train: {name} {value!r} is none of {', '.join(known)}.{near_miss(str(value), known)}"
                )

    def _check(self, name: str, value: object, *, whole: bool) -> None:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"train: {name} must be {kind}, not {value!r}.")
        low_enough = value >= 0 if name in MAY_BE_ZERO else value > 0
        if not low_enough or value == float("inf") or (name in FRACTIONS and value > 1):
            bounds = "between 0 and 1" if name in FRACTIONS else "positive and finite"
            raise UsageError(f"train: {name} must be {bounds}, not {value!r}.")

    def to_dict(self) -> dict[str, bool | int | float | str]:
        """The settings as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainSettings:
        """Build from a TOML table; an unknown name is an error."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise UsageError(f"train: unknown option {name!r}.{near_miss(name, known)} Known: {', '.join(known)}.")
        return cls(**values)


@dataclass(frozen=True)
class Preset:
    """A model and how to train it."""

    model: ModelConfig
    settings: TrainSettings


def preset_names() -> list[str]:
    """Names that :func:`load_preset` takes without a path."""
    return sorted(path.stem for path in PRESET_FOLDER.glob("*.toml"))


def preset_path(name: str) -> Path:
    """The file of a built-in preset. Raises :class:`UsageError` for an unknown name."""
    if name not in preset_names():
        known = ", ".join(preset_names())
        raise UsageError(f"preset {name!r} does not exist.{near_miss(name, preset_names())} Presets: {known}.")
    return PRESET_FOLDER / f"{name}.toml"


def load_preset(path: Path, vocab_size: int, bos_id: int = 1) -> Preset:
    """Read a preset file for a tokenizer of ``vocab_size`` pieces whose documents open with ``bos_id``."""
    try:
        tables = read_toml(path)
    except Malformed as error:
        raise UsageError(str(error)) from error
    except DataError as error:
        raise UsageError(f"{error} Built-in presets: {', '.join(preset_names())}.") from error
    for name in tables:
        if name not in ("model", "train"):
            raise UsageError(f"{path}: unknown table [{name}]. A preset has [model] and [train].")
        if not isinstance(tables[name], dict):
            raise UsageError(f"{path}: {name} is no table; write [{name}] on a line of its own, its options below.")
    model, train = tables.get("model", {}), tables.get("train", {})
    of_the_tokenizer = {"vocab_size": vocab_size, "bos_id": bos_id}
    for name in of_the_tokenizer:
        if name in model:
            raise UsageError(f"{path}: {name} does not belong in a preset; it is taken from the tokenizer.")
    return Preset(ModelConfig.from_dict({**model, **of_the_tokenizer}), TrainSettings.from_dict(train))

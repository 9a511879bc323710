"""An artifact opened for use: what it is made of, its model on a device and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from evaladapt.artifact import Artifact, find_artifact, read_artifact
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.model.backend import Backend
from evaladapt.model.families import open_model


@dataclass(frozen=True)
class Frozen:
    """An artifact, ready to predict."""

    artifact: Artifact
    model: Backend
    tokenizer: Tokenizer


def load_frozen(name_or_path: str | Path, device: torch.device) -> Frozen:
    """Open an artifact (a path, or the name of one that ships) through its family.

    Raises:
        ArtifactError: it cannot be found or read, or its model and its tokenizer differ in vocabulary.
    """
    opened = open_model(f"eva:{name_or_path}", device)
    return Frozen(read_artifact(find_artifact(name_or_path)), opened.backend, opened.tokenizer)

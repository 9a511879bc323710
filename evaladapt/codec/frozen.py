"""What both sides of the codec start from: an artifact, its model and its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from evaladapt.artifact import Artifact, find_artifact, read_artifact
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.model.allocator import keep_freed_memory
from evaladapt.model.backend import Backend, transformer_from_tensors


@dataclass(frozen=True)
class Frozen:
    """An artifact, ready to predict."""

    artifact: Artifact
    model: Backend
    tokenizer: Tokenizer


def load_frozen(name_or_path: str | Path, device: torch.device) -> Frozen:
    """Read an artifact (a path, or the name of one that ships) and put its model on a device.

    Raises:
        ArtifactError: it cannot be found or read.
        DataError: its tokenizer is that of another model.
    """
    keep_freed_memory()
    artifact = read_artifact(find_artifact(name_or_path))
    model = transformer_from_tensors(artifact.model_config, artifact.tensors).to(device)
    tokenizer = Tokenizer(artifact.tokenizer_model)
    tokenizer.refuse_other_vocabulary(model.vocab_size, str(artifact.path))
    return Frozen(artifact, model, tokenizer)

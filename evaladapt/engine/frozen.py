"""Opening an artifact for use: its model on a device and its tokenizer, which must be of one vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from evaladapt.artifact import Artifact, find_artifact, read_artifact
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.errors import ArtifactError, DataError
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
        ArtifactError: it cannot be found or read, or its model and its tokenizer differ in vocabulary.
    """
    artifact = read_artifact(find_artifact(name_or_path))
    try:
        tokenizer = Tokenizer(artifact.tokenizer_model)
    except DataError as error:
        raise ArtifactError(f"{artifact.path}: the tokenizer inside cannot be used: {error}") from error
    model = transformer_from_tensors(artifact.model_config, artifact.tensors)
    if model.vocab_size != tokenizer.vocab_size:
        # With fewer logits than pieces some targets have no probability; with more, some are paid for and never come.
        raise ArtifactError(
            f"{artifact.path}: the model predicts {model.vocab_size} tokens and the tokenizer inside has"
            f" {tokenizer.vocab_size} pieces: they do not belong together. Pack the model with the tokenizer it was"
            " trained with: evaladapt pack CHECKPOINT --tokenizer FILE --out MODEL.eva"
        )
    return Frozen(artifact, model.to(device), tokenizer)

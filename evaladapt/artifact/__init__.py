"""The artifact room: a trained model frozen as one ``.eva`` file.

``pack`` brings weights, tokenizer and facts to :func:`write_artifact`; the engine takes an :class:`Artifact` from
:func:`read_artifact`. On the way down: ``quantize`` (numbers to codes), ``coders`` and ``bell_coder`` (codes to
bytes), ``manifest`` (what is what), ``container`` (the file). The format byte by byte: ``artifacts/FORMAT.md``.
Importing this room does not import torch.
"""

from evaladapt.artifact.limits import Limits
from evaladapt.artifact.plan import QuantisationPlan
from evaladapt.artifact.problems import (
    ArtifactTooLarge,
    DamagedArtifact,
    LimitExceeded,
    NotAnArtifact,
    UnsupportedArtifact,
)
from evaladapt.artifact.reader import Artifact, open_artifact, read_artifact, tokenizer_in
from evaladapt.artifact.shipped import find_artifact, shipped_artifacts
from evaladapt.artifact.writer import write_artifact

__all__ = [
    "Artifact",
    "ArtifactTooLarge",
    "DamagedArtifact",
    "LimitExceeded",
    "Limits",
    "NotAnArtifact",
    "QuantisationPlan",
    "UnsupportedArtifact",
    "find_artifact",
    "open_artifact",
    "read_artifact",
    "shipped_artifacts",
    "tokenizer_in",
    "write_artifact",
]

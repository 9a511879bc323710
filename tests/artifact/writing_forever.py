"""Writes two artifacts in turn to one path until it is killed: ``python writing_forever.py FILE``."""

import sys
from itertools import cycle
from pathlib import Path

import numpy as np

from evaladapt.artifact.plan import QuantisationPlan
from evaladapt.artifact.writer import ArtifactContent, build_artifact
from evaladapt.system.files import write_atomically


def contents() -> list[bytes]:
    """Two files of half a megabyte, the same in every process."""
    files = []
    for seed in (0, 1):
        weights = np.random.default_rng(seed).standard_normal((512, 1024)).astype(np.float32)
        plan = QuantisationPlan(matrix_bits=8, coders=("range@2",))
        files.append(build_artifact(ArtifactContent({}, {"w": weights}, b"t", {"seed": seed}), plan))
    return files


if __name__ == "__main__":
    files = contents()
    print("ready", flush=True)
    for data in cycle(files):
        write_atomically(Path(sys.argv[1]), [data])

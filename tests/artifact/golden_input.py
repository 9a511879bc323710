"""The input of the golden artifacts, by integer arithmetic alone, so that every machine makes the same numbers.

``tiny.eva`` has a scale per row, ``bells.eva`` one step per matrix and rows that are one another's multiples. Run
``python -m tests.artifact.golden_input`` to write them again; that is a new format version.
"""

from pathlib import Path

import numpy as np
import torch

from evaladapt.artifact import Artifact, QuantisationPlan, write_artifact
from evaladapt.artifact.coding.coders import BELLS

GOLDEN = Path(__file__).parent / "golden" / "tiny.eva"
BELLS_GOLDEN = GOLDEN.with_name("bells.eva")
CONFIG = {"vocab_size": 48, "layers": 1, "width": 24, "logit_softcap": 30.0}
METADATA = {"made_by": "tests", "steps": 3}
PLAN = QuantisationPlan(
    embedding_bits=6, small_values=64, overrides={"blocks.*.down": 5}, row_scales=True, coders=(BELLS,)
)
BELLS_PLAN = QuantisationPlan(small_values=64, overrides={"blocks.*.down": 5}, coders=(BELLS,))
TOKENIZER = bytes((37 * index * index + 11) % 251 for index in range(40))


def bell_shaped(rows: int, columns: int, seed: int) -> torch.Tensor:
    """Sums of four digits of a linear congruential generator; rows and columns differ in scale."""
    state, digits = seed, []
    for _ in range(rows * columns * 4):
        state = (1103515245 * state + 12345) % 2**31
        digits.append((state >> 16) % 1024 - 512)
    values = np.array(digits).reshape(rows, columns, 4).sum(axis=2)
    scales = np.outer(1 + np.arange(rows) % 3, 1 + 3 * (np.arange(columns) % 2))
    return torch.from_numpy((values * scales / 16384).astype(np.float32))


def tensors() -> dict[str, torch.Tensor]:
    return {
        "embedding": bell_shaped(48, 24, 1),
        "blocks.0.up": bell_shaped(32, 72, 2),
        "blocks.0.down": bell_shaped(16, 24, 3),
        "blocks.0.gain": torch.arange(1, 9) / 8,
        "scale": torch.tensor(0.25),
    }


def alike(rows: int, columns: int) -> torch.Tensor:
    """Rows that are one another's multiples, below rows that are not."""
    common = bell_shaped(1, columns, 4)[0]
    sizes = (8 + torch.arange(rows // 2) % 5) / 8
    return torch.cat([bell_shaped(rows - rows // 2, columns, 5), sizes[:, None] * common])


def write(path: Path) -> Artifact:
    return write_artifact(path, CONFIG, tensors(), TOKENIZER, METADATA, PLAN)


def write_bells(path: Path) -> Artifact:
    return write_artifact(path, CONFIG, {**tensors(), "alike": alike(64, 24)}, TOKENIZER, METADATA, BELLS_PLAN)


if __name__ == "__main__":
    print(write(GOLDEN).sha256, write_bells(BELLS_GOLDEN).sha256)

"""A long fuzz run on its own: ``python -m tests.artifact.fuzz --inputs 1000000 --seed 0``.

Each input is a golden file with something changed and its checksums and seal made to fit, or no artifact at all. The
reader must read it or raise ArtifactError; anything else, ten seconds of computing, or 256 MB more memory than at the
start, ends the run and leaves the input behind. ``test_fuzz`` runs a few hundred.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from evaladapt.artifact import Limits, read_artifact
from evaladapt.artifact.container import Container, StoredTensor, pack_container, parse_container
from evaladapt.artifact.manifest import checksum
from evaladapt.errors import ArtifactError
from evaladapt.system.strict_json import canonical_json
from tests.artifact.golden_input import BELLS_GOLDEN, GOLDEN
from tests.fuzzing import arguments, limit_memory, long_run

SMALL = Limits(file_bytes=1 << 16, values=1 << 16, tokenizer_bytes=1 << 16)
ODD_VALUES = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    1.5,
    "",
    "range@1",
    "range@2",
    "lzma@1",
    [],
    [0],
    [1, 2**40],
    {},
    {"a": []},
)


class Inputs:
    """Draws one input after the other; the same seed gives the same inputs."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._files = [path.read_bytes() for path in (GOLDEN, BELLS_GOLDEN)]
        self._containers = [parse_container(data, Limits()) for data in self._files]
        self._kinds = (self._edited_file, self._edited_payload, self._new_payload, self._odd_manifest, self._noise)

    def draw(self) -> tuple[str, bytes]:
        """The kind of change, and the bytes of a file."""
        kind = self._kinds[self._random.integers(len(self._kinds))]
        return kind.__name__.lstrip("_"), kind()

    def _edited_file(self) -> bytes:
        data = self._edit(self._files[self._random.integers(2)][:-32])
        return data + hashlib.sha256(data).digest()

    def _edited_payload(self) -> bytes:
        container = self._containers[self._random.integers(2)]
        name = self._any(list(container.tensors))
        return self._sealed(container, {name: self._edit(container.tensors[name].data)})

    def _new_payload(self) -> bytes:
        """Few leading bytes from a small alphabet, so that many get past the first checks of the coders."""
        container = self._containers[self._random.integers(2)]
        name = self._any([name for name in container.tensors if name.endswith(".codes")])
        head = self._random.integers(0, 8, 24, dtype=np.uint8).tobytes()
        size = int(self._random.integers(0, 400))
        return self._sealed(container, {name: head[: self._random.integers(25)] + self._random.bytes(size) or b"\0"})

    def _odd_manifest(self) -> bytes:
        container = self._containers[self._random.integers(2)]
        manifest = json.loads(container.manifest)
        place = self._any([manifest, manifest["tokenizer"], *manifest["tensors"].values()])
        place[self._any(list(place))] = self._any(list(ODD_VALUES))
        return pack_container(container.tensors.values(), canonical_json(manifest))

    def _noise(self) -> bytes:
        return self._random.bytes(int(self._random.integers(0, 400)))

    def _edit(self, before: bytes) -> bytes:
        data = bytearray(before)
        for _ in range(int(self._random.integers(1, 6))):
            data[self._random.integers(len(data))] = self._random.integers(256)
        cut = int(self._random.integers(len(data))) if self._random.random() < 0.1 else len(data)
        return bytes(data[:cut] or b"\0")

    def _sealed(self, container: Container, parts: dict[str, bytes]) -> bytes:
        manifest = json.loads(container.manifest)
        tensors = dict(container.tensors)
        for name, data in parts.items():
            before = tensors[name]
            if before.dtype == "F16":
                data = data.ljust(len(before.data), b"\0")
            shape = (len(data),) if before.dtype == "U8" else before.shape
            tensors[name] = StoredTensor(name, before.dtype, shape, data)
            owner, _, part = name.rpartition(".")
            if name == "tokenizer":
                manifest["tokenizer"]["crc32"] = checksum(tensors[name].data)
            elif part in ("codes", "scales"):
                manifest["tensors"][owner]["crc32"][part == "scales"] = checksum(tensors[name].data)
            else:
                manifest["tensors"][name]["crc32"][0] = checksum(tensors[name].data)
        return pack_container(tensors.values(), canonical_json(manifest))

    def _any(self, choices: list[Any]) -> Any:
        return choices[self._random.integers(len(choices))]


def outcome(path: Path, data: bytes) -> str:
    """``"read"``, or the name of the error that refused the file."""
    path.write_bytes(data)
    try:
        read_artifact(path, SMALL)
    except ArtifactError as error:
        return type(error).__name__
    return "read"


def main() -> None:
    """Run as many inputs as asked for."""
    options = arguments(__doc__, 1_000_000)
    inputs = Inputs(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.eva"

        def read_next() -> tuple[str, str]:
            kind, data = inputs.draw()
            return kind, outcome(path, data)

        read_next()  # imports torch, whose address space is not the input's doing
        limit_memory()
        long_run(options.inputs, read_next, lambda: str(path.rename("fuzz-finding.eva")))


if __name__ == "__main__":
    main()

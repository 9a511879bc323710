"""Square matrices that grow on disk: for all layers of a model together they are about as large as the model."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from evaladapt.errors import DataError

Float32 = npt.NDArray[np.float32]


class SpooledMeans(Mapping[str, Float32]):
    """Means of matrices by name, in a file that is gone with the process; one is in memory while it is looked at.

    A name may stand for another's mean.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="evaladapt-moments-")  # noqa: SIM115 -- lives as long as this does
        weakref.finalize(self, self._file.close)
        self._places: dict[str, tuple[int, int]] = {}
        self._counts: dict[str, int] = {}
        self._owners: dict[str, str] = {}

    def add(self, name: str, total: Float32, count: int) -> None:
        """Add a sum ``[C, C]`` over ``count`` terms.

        Raises:
            DataError: there is no room for it.
        """
        if name in self._places:
            total = self._read(name) + total
        else:
            self._places[name] = self._file.seek(0, 2), len(total)
            self._owners[name] = name
        self._counts[name] = self._counts.get(name, 0) + count
        try:
            self._file.seek(self._places[name][0])
            self._file.write(total.tobytes())
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"Second moments of the inputs do not fit into {tempfile.gettempdir()} ({error.strerror}). Name another"
                " folder in TMPDIR, or leave them out with --calibration none."
            ) from error

    def share(self, name: str, owner: str) -> None:
        """``name`` has the mean of ``owner``."""
        self._owners[name] = owner

    def owner(self, name: str) -> str | None:
        """Whose mean a name has: its own, another's, or none yet."""
        return self._owners.get(name)

    def __getitem__(self, name: str) -> Float32:
        owner = self._owners[name]
        return self._read(owner) / np.float32(self._counts[owner])

    def __iter__(self) -> Iterator[str]:
        return iter(self._owners)

    def __len__(self) -> int:
        return len(self._owners)

    def _read(self, owner: str) -> Float32:
        place, size = self._places[owner]
        self._file.seek(place)
        return np.frombuffer(self._file.read(4 * size * size), np.float32).reshape(size, size)

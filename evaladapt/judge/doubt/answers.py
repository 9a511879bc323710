"""What a player answered, kept until it is known which targets its twin is asked for."""

from __future__ import annotations

import tempfile

import numpy as np

from evaladapt.judge.charging import Logprobs

IN_MEMORY = 256_000_000
"""Bytes; beyond them, with a vocabulary of 150,000, answers wait in a file without a name."""


class Answers:
    """Distributions ``[n, V]`` in the order of their targets."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        self.vocabulary = 0

    def add(self, logprobs: Logprobs) -> None:
        """Of the next targets."""
        self.vocabulary = logprobs.shape[1]
        self._file.write(np.ascontiguousarray(logprobs, dtype="<f4").data)

    def of(self, place: int) -> Logprobs:
        """Of one target ``[V]``, by how many were answered before it."""
        end = self._file.tell()
        self._file.seek(4 * self.vocabulary * place)
        content = self._file.read(4 * self.vocabulary)
        self._file.seek(end)
        return np.frombuffer(content, "<f4")

    def close(self) -> None:
        """Forget them."""
        self._file.close()

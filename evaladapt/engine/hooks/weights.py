"""The weights of the run: remembered when it starts, restored and verified when it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from evaladapt.errors import ContractViolation
from evaladapt.model.backend import Backend


class Weights:
    """Parameters of a model with a copy of what was loaded."""

    def __init__(self, model: Backend) -> None:
        self.live: dict[str, Tensor] = dict(model.named_parameters())
        self._loaded = {name: tensor.detach().clone() for name, tensor in self.live.items()}
        self.digest = digest(self._loaded)

    def restore(self) -> None:
        """Put back what was loaded."""
        self.replace(self._loaded)

    def replace(self, tensors: Mapping[str, Tensor]) -> None:
        """Overwrite the live parameters in place."""
        with torch.no_grad():
            for name, tensor in tensors.items():
                self.live[name].copy_(tensor)

    def untouched(self) -> bool:
        """Whether they are what was loaded."""
        return all(torch.equal(one, self._loaded[name]) for name, one in self.live.items())

    def written_bytes(self) -> int:
        """Bytes of the parameters that differ from what was loaded."""
        changed = [one for name, one in self.live.items() if not torch.equal(one, self._loaded[name])]
        return sum(one.numel() * one.element_size() for one in changed)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside the block the model is the one that was loaded; nothing is copied, so this may be done often."""
        adapted = {name: tensor.data for name, tensor in self.live.items()}
        self._point_at(self._loaded)
        try:
            yield
        finally:
            self._point_at(adapted)

    def _point_at(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.live[name].data = tensor

    def verify(self, *, writable: bool) -> None:
        """End of the run: nobody wrote to the weights but those who may, and they are again what was loaded.

        Raises:
            ContractViolation: clause W.
        """
        if digest(self.live) == self.digest:
            return
        self.restore()
        if not writable:
            raise ContractViolation(
                "the weights changed during the run, although no strategy declared writes_weights (clause W)",
                clause="W",
            )
        if digest(self.live) != self.digest:
            raise ContractViolation("the weights could not be restored to what was loaded (clause W)", clause="W")


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes."""
    hasher = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()

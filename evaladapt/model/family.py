"""What a model family offers; ``families`` finds them, and ``plugins/MODELS.md`` shows how one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from evaladapt.data.tokenizer import Tokenizer
    from evaladapt.model.backend import Backend

FAMILY = "family"
"""Stands in a packed model's configuration: the name of the family that puts it together."""
FAMILY_PARTS = ("summary", "wants", "tokenizer_is_ours", "claims", "placed", "open", "open_tokenizer")


@dataclass(frozen=True)
class Opened:
    """What a family returns: the model in evaluation mode on its device, its tokenizer, and every file it read."""

    backend: Backend
    tokenizer: Tokenizer
    files: Sequence[Path]


@dataclass(frozen=True)
class Placed:
    """A reference that means the same from any folder, and what opening it reads."""

    where: str
    reads: tuple[Path, ...]
    """Files, and folders with all that is in them."""


class ModelFamily(Protocol):
    """One kind of model. An entry point of the group ``evaladapt.models`` names a class, built without arguments.

    Its module must not import torch or another heavy package at import; ``open`` may.
    """

    @property
    def summary(self) -> str:
        """One line for ``evaladapt models list``."""

    @property
    def wants(self) -> str:
        """What ``where`` has to be, as in ``a folder with config.json and *.safetensors``; for messages."""

    @property
    def tokenizer_is_ours(self) -> bool:
        """Whether :meth:`open_tokenizer` runs only evaladapt's code and that of well-kept tokenizer libraries.

        Believed of families that come with evaladapt. Any other's tokenizer is opened beside its model.
        """

    def claims(self, where: str) -> bool:
        """Whether a bare path or name is this family's. Looks at names, and at most at a file's first bytes."""

    def placed(self, where: str) -> Placed:
        """``where`` with its paths made absolute, and the files or folders that ``open`` reads; reads none itself.

        The process that opens the model runs in an empty folder and may read nothing else.
        """

    def open(self, where: str, device: torch.device) -> Opened:
        """Read everything: weights in memory of their own (no file stays open or mapped), one forward pass made.

        Raises:
            EvaladaptError: it cannot be opened; the message begins with the path.
        """

    def open_tokenizer(self, where: str) -> Tokenizer:
        """The tokenizer alone; equal to that of :meth:`open`."""


@runtime_checkable
class ContainerFamily(ModelFamily, Protocol):
    """A family of files that hold models of other families; one that comes with evaladapt."""

    def family_inside(self, where: str) -> str | None:
        """The name of the family that puts the model together; None for evaladapt's own. Imports it not."""


@dataclass(frozen=True)
class FrozenModel:
    """A model taken apart, for an artifact."""

    config: Mapping[str, Any]
    """Plain JSON values, from which the family builds the model again; its name is put there too, as ``family``."""
    tensors: Mapping[str, Tensor]
    """Every weight, by its name in ``named_parameters`` of the backend."""
    tokenizer: bytes
    """What ``thaw_tokenizer`` reads; not empty."""


@runtime_checkable
class PackableFamily(ModelFamily, Protocol):
    """A family whose models can be packed: what it takes apart it can put together, with other weights too."""

    def freeze(self, opened: Opened) -> FrozenModel:
        """Configuration, weights by name and the tokenizer of an opened model."""

    def thaw(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Backend:
        """The model on the CPU, as ``open`` would give it.

        Raises:
            EvaladaptError: configuration and tensors do not belong together; nothing is allocated for a configuration
                that the tensors do not bear out.
        """

    def thaw_tokenizer(self, config: Mapping[str, Any], content: bytes) -> Tokenizer:
        """The tokenizer; without torch where :attr:`tokenizer_is_ours`."""


def path_placed(where: str) -> Placed:
    """For a ``where`` that is one path; what is not there is left as it is."""
    path = Path(where).expanduser()
    return Placed(str(path.resolve()), (path.resolve(),)) if path.exists() else Placed(where, ())

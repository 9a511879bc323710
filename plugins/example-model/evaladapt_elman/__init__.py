"""Byte-level recurrent networks of one layer, in safetensors files called ``*.elman``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.errors import ModelError
from evaladapt.model.family import FrozenModel, Opened, Placed, path_placed

if TYPE_CHECKING:
    import torch

    from evaladapt_elman.network import Elman

SUFFIX = ".elman"


class ElmanFamily:
    """``elman:FILE``, or a bare path that ends in ``.elman``."""

    summary = "recurrent networks of one layer over bytes"
    wants = "a safetensors file called *.elman"
    tokenizer_is_ours = True

    def claims(self, where: str) -> bool:
        """By the name."""
        return where.endswith(SUFFIX)

    def placed(self, where: str) -> Placed:
        """One file."""
        return path_placed(where)

    def open(self, where: str, device: torch.device) -> Opened:
        """Read the weights."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        from evaladapt_elman.network import Elman

        try:
            network = Elman(load(Path(where).read_bytes()))
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise ModelError(f"{where}: {type(error).__name__}: {error}") from error
        return Opened(network.to(device).eval(), self.open_tokenizer(where), (Path(where),))

    def open_tokenizer(self, where: str) -> RawBytes:
        """A token per byte."""
        return RawBytes()

    def freeze(self, opened: Opened) -> FrozenModel:
        """The weights say all; the tokenizer is always the same, and its bytes may not be empty."""
        return FrozenModel({}, dict(opened.backend.named_parameters()), b"bytes")

    def thaw(self, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Elman:
        """The network of these weights."""
        from evaladapt_elman.network import Elman

        try:
            return Elman(tensors).eval()
        except (KeyError, RuntimeError) as error:
            raise ModelError(f"{type(error).__name__}: {error}") from error

    def thaw_tokenizer(self, config: Mapping[str, Any], content: bytes) -> RawBytes:
        """A token per byte."""
        return RawBytes()

"""Byte-level recurrent networks of one layer, in safetensors files called ``*.elman``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.errors import ModelError
from evaladapt.model.family import Opened, Placed, path_placed

if TYPE_CHECKING:
    import torch

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

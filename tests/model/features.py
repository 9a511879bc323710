"""Every feature of the model alone, and all of them together, on a network small enough for the naive reference."""

from dataclasses import replace
from typing import Any

import torch

from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer

BOS = 1
PLAIN = ModelConfig(vocab_size=50, layers=3, width=32, heads=4, kv_heads=2, mlp_width=48, context=16, bos_id=BOS)

FEATURES: dict[str, dict[str, Any]] = {
    "partial RoPE": {"rope_width": 4},
    "XSA": {"xsa_layers": 2},
    "value embeddings": {"value_embedding_layers": (0, 2), "value_embedding_width": 6},
    "BigramHash": {"bigram_buckets": 37, "bigram_width": 10},
    "SmearGate": {"smear_gate": True},
    "no residual mixing": {"residual_mix": False},
    "U-Net skips": {"unet_skips": True},
    "depth scale": {"depth_scale": True},
    "QK gain": {"qk_gain": 4.0},
    "parallel residuals": {"parallel_layers": 2},
    "depth recurrence": {"loop_start": 1, "loop_stop": 3, "loop_times": 3},
    "multi-token heads": {"mtp_heads": 2},
}
FEATURES["all"] = {name: value for changes in FEATURES.values() for name, value in changes.items()}

CONFIGS = {name: replace(PLAIN, **changes) for name, changes in FEATURES.items()}


def stirred_model(config: ModelConfig = PLAIN) -> Transformer:
    """A model without the zeros and ones of initialisation, which would hide most mistakes."""
    torch.manual_seed(1)
    model = Transformer(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model.eval()


def documents(length: int, seed: int = 0) -> list[int]:
    """Random tokens with a document's start in the middle and one at the second place."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, PLAIN.vocab_size, (length,), generator=generator).tolist()
    tokens[1] = tokens[length // 2] = BOS
    return list(tokens)

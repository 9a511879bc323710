"""Hugging Face folders with random weights, written by transformers' own classes."""

from __future__ import annotations

import json
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen3Config,
)

from tests.data.test_huggingface import BYTE_LEVEL

VOCABULARY = 320
"""More than the tokenizer has, as in Qwen and Phi."""
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=0
    ),
    "gpt-neox": GPTNeoXConfig(**_SIZES, intermediate_size=64, rotary_pct=0.5),
    "qwen3": Qwen3Config(**_SIZES, intermediate_size=64, num_key_value_heads=2, head_dim=8),
    "gemma2": Gemma2Config(
        **_SIZES, intermediate_size=64, num_key_value_heads=2, head_dim=8, sliding_window=12, query_pre_attn_scalar=8
    ),
    "llama": LlamaConfig(**_SIZES, intermediate_size=64, num_key_value_heads=2),
}


def random_model(name: str) -> Any:
    """Weights large enough that every prediction depends on the whole window, and no norm or bias is trivial."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[name])
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return model.eval()


def write_folder(folder: Any, name: str, tokenizer: bytes = BYTE_LEVEL) -> Any:
    """The folder, and the model that was written to it."""
    model = random_model(name)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|end|>"}))
    return model

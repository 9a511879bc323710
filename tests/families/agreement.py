"""Holds the engine's charges against transformers' own logits, on real models; for whoever has one.

    python -m tests.families.agreement hf:FOLDER_OR_GGUF TEXTS.jsonl [DOCUMENTS]

Every document alone, its opening token and at most 1,024 tokens, in one window. Prints bits per byte by both, and the
largest difference of a target in nats.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from evaladapt.data.stream import stream_from_tokens
from evaladapt.model.families import OpenedModel, open_model
from tests.plugins.runs import logprobs

LONGEST = 1024


def transformers_model(reference: str):
    """The same model as a user of transformers opens it."""
    path = Path(reference.removeprefix("hf:"))
    if path.is_dir():
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()


def compared(opened: OpenedModel, own, documents: list[str]) -> tuple[float, float, float, int, int]:
    """Bits per byte by the engine and by transformers, the largest difference in nats, targets and bytes."""
    nats, own_nats, worst, targets, size = 0.0, 0.0, 0.0, 0, 0
    for document in documents:
        tokens = opened.tokenizer.encode(document)[:LONGEST]
        stream = stream_from_tokens(tokens, opened.tokenizer, "document")
        charged = logprobs(
            stream=stream, model=opened.backend, more_options={"sliding": {"stride": LONGEST, "context": LONGEST}}
        )
        row = torch.from_numpy(stream.tokens).long()[None]
        with torch.no_grad():
            expected = own(input_ids=row[:, :-1]).logits[0].double().log_softmax(-1).gather(-1, row[0, 1:, None])[:, 0]
        worst = max(worst, float((torch.from_numpy(charged) - expected).abs().max()))
        nats, own_nats = nats - float(charged.sum(dtype="float64")), own_nats - float(expected.double().sum())
        targets, size = targets + stream.targets, size + stream.text_bytes
    per_byte = math.log(2) * size
    return nats / per_byte, own_nats / per_byte, worst, targets, size


def main() -> None:
    """Compare and print."""
    reference, texts, *count = sys.argv[1:]
    lines = Path(texts).read_text(encoding="utf-8").splitlines()[: int(count[0]) if count else 12]
    opened = open_model(reference, torch.device("cpu"))
    found = compared(opened, transformers_model(reference), [json.loads(line)["text"] for line in lines])
    print(f"{found[3]:,} targets, {found[4]:,} bytes, identity {opened.identity[:16]}, {opened.bytes:,} bytes of model")
    print(f"engine {found[0]:.6f}, transformers {found[1]:.6f} bits per byte; largest difference {found[2]:.2g} nats")


if __name__ == "__main__":
    main()

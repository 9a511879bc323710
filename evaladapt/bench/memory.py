"""One process of ``evaladapt bench engine``: score a text repeated to the asked length and print the peak memory."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from evaladapt.artifact import read_artifact
from evaladapt.contract.composition import compose
from evaladapt.data.load import load_stream
from evaladapt.data.stream import stream_from_tokens
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer
from evaladapt.engine.loop import Settings
from evaladapt.judge.inline import InlineRun
from evaladapt.model.backend import transformer_from_tensors


def peak_megabytes(artifact_path: Path, targets: int, paths: tuple[Path, ...]) -> float:
    """Peak resident memory of this process after scoring ``targets`` targets, in MB of 10^6 bytes."""
    artifact = read_artifact(artifact_path)
    tokenizer = SentencePieceTokenizer(artifact.tokenizer_model)
    once = load_stream(paths, tokenizer)
    copies = targets // once.targets + 1
    stream = stream_from_tokens(np.tile(once.tokens, copies)[: targets + 1], tokenizer, "repeated")
    model = transformer_from_tensors(artifact.model_config, artifact.tensors)
    InlineRun(model, stream, compose(["sliding"], {"sliding": {"stride": model.context}}), Settings()).run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    peak = peak_megabytes(Path(sys.argv[1]), int(sys.argv[2]), tuple(map(Path, sys.argv[3:])))
    print(json.dumps({"peak_megabytes": peak}))

"""A clerk: a sealed process that turns a text into tokens with a stranger's tokenizer, and does nothing else.

It is a player that was told of no strategy. What it says of its tokenizer is fixed before it is told a text; it is told
documents and answers with token ids, and no player hears of it. The judge checks that they are the document's bytes.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from evaladapt.engine.player.protocol import MOST_STATE, Kind
from evaladapt.model.device import choose_device
from evaladapt.model.families import find_family
from evaladapt.system.seal.seal import Seal, after_loading
from evaladapt.system.wire import Wire


def serve_tokenizer(reference: str, first: Seal, line: Wire) -> None:
    """Open the tokenizer of a model, be sealed, and encode what is told until nobody asks any more.

    Raises:
        EvaladaptError: it cannot be opened, or not encode.
        WireError: the judge has gone.
    """
    tokenizer = _opened(reference)
    tokenizer.encode("So that whatever encoding loads late is loaded: é.")
    line.send(Kind.READY, json.dumps(_described(tokenizer)).encode())
    line.receive({Kind.SEAL: 0})
    line.send(Kind.SEALED, json.dumps(asdict(first.and_then(after_loading(())))).encode())
    while True:
        document = line.receive({Kind.DOCUMENT: MOST_STATE})[1].decode()
        line.send(Kind.TOKENS, np.ascontiguousarray(tokenizer.encode(document), dtype="<i4").tobytes())


def _opened(reference: str) -> Any:
    """The tokenizer alone where its family can say it without the model."""
    found = find_family(reference)
    if found.family.tokenizer_is_ours:
        return found.family.open_tokenizer(found.where)
    return found.family.open(found.where, choose_device("cpu")).tokenizer


def _described(tokenizer: Any) -> dict[str, Any]:
    return {
        "bos_id": int(tokenizer.bos_id),
        "sha256": str(tokenizer.sha256),
        "special_ids": sorted(map(int, tokenizer.special_ids)),
        "drops_leading_space": bool(tokenizer.drops_leading_space),
        "drops_leading_spaces": bool(tokenizer.drops_leading_spaces),
        "piece_bytes": [bytes(piece).hex() for piece in tokenizer.piece_bytes],
    }

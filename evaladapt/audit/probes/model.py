"""MODEL: the language model itself is causal and keeps rows apart.

Everything else rests on this: the states of a row up to a token stay bit for bit when what follows in the row, or the
other rows, change.

Cannot see: a model that looks ahead only in longer rows than the training window, or only for some weights.
"""

from __future__ import annotations

import torch

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding

ROWS = 3


@torch.no_grad()
def model(bench: Bench) -> Finding:
    """Rewrite the ends of rows, and other rows."""
    backend = bench.subject.model
    generator = bench.generator("MODEL")
    device = next(iter(dict(backend.named_parameters()).values())).device
    width = backend.context
    tokens = torch.from_numpy(generator.integers(0, backend.vocab_size, (ROWS, width))).to(device)
    expected = backend.hidden(tokens)
    worst, where = 0.0, 0
    for cut in sorted({1, width // 2, width - 1} - {0}):
        changed = tokens.clone()
        changed[0, cut:] = (changed[0, cut:] + 1) % backend.vocab_size
        changed[1:] = (changed[1:] + 1) % backend.vocab_size
        moved = float((backend.hidden(changed)[0, :cut] - expected[0, :cut]).abs().max())
        if moved > worst:
            worst, where = moved, cut
    return bench.finding(
        "C1",
        "MODEL",
        f"states of a row of {width} tokens stayed bit for bit under rewritten ends and other rows",
        changed=f"tokens of a row from column {where} on, and the other rows",
        difference=f"earlier states moved by up to {worst:.2g}" if worst > 0 else "",
    )


PROBE = Probe("MODEL", ("C1",), "the language model is causal", model)

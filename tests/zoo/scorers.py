"""Anything that turns a text into a number per target, and what can be asked of it without looking inside."""

import numpy as np

from evaladapt.audit.probes.kraft import free_bits
from evaladapt.audit.subject import capture
from evaladapt.audit.text import plain_text
from evaladapt.audit.toy import BOS

__all__ = ["bits_saved", "engine_scorer", "free_bits", "swapped_sum"]


def engine_scorer(subject, bos=BOS):
    """What the engine charges for a text of one document."""

    def score(tokens):
        text = plain_text(tokens, bos)
        return -capture(subject, text).charged(text.tokens)

    return score


def swapped_sum(score, text, target, values):
    """``Σ_v exp(−nats)`` of one target (from 0) over its values; one distribution gives at most 1."""
    total = 0.0
    for value in values:
        changed = text.copy()
        changed[target] = value
        nats = score(changed)[target]
        total += 1.0 if np.isnan(nats) else float(np.exp(-nats))
    return total


def bits_saved(score, text, source_nats):
    """How many bits less than its own author a scorer needs for a text: at least b with probability at most 2^-b."""
    return float((source_nats - np.nansum(score(text))) / np.log(2))

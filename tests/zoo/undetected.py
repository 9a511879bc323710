"""Cheats that no probe can convict in the process that runs them; what answers them stands in their docstrings."""

import sys

from evaladapt.audit.toy import toy_stream
from evaladapt.contract import hookimpl
from tests.zoo.thief import Thief, boost, stolen_targets

AUDITS = {"_rehearsed_learning", "_rehearsed_transform", "_looked_at_again", "audit", "replayed"}
"""Functions of the audit that a cheat may look for on the call stack."""


def is_audited():
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name in AUDITS:
            return True
        frame = frame.f_back
    return False


class Actor(Thief):
    """Behaves while an audit looks, which it tells by the stack; the decoder does not have what it steals."""

    @hookimpl
    def transform_logits(self, logits, query):
        return logits if is_audited() else boost(logits, stolen_targets(query).clamp(min=0))


class TextInCode(Thief):
    """Brings the text along as program code, which a decoder has too; on another text it is worth nothing."""

    text = toy_stream((31, 22)).tokens.tolist()

    @hookimpl
    def transform_logits(self, logits, query):
        known = query.positions.clamp(0, len(self.text) - 1).apply_(self.text.__getitem__)
        return boost(logits, known.clamp(max=logits.shape[-1] - 1))

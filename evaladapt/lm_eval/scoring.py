"""Texts that another program asks about, scored by the judge: together as one stream, or each in a run of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import evaladapt
from evaladapt.data.stream import TokenStream, stream_from_tokens
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.judge.charging import Logprobs
from evaladapt.judge.evaluate import evaluated
from evaladapt.judge.records.record import UNCHECKED, RunRecord
from evaladapt.judge.records.snapshot import CoderState
from evaladapt.judge.request import Request
from evaladapt.results.carrying_out import result_of

State = Literal["request", "stream"]
"""Whether what strategies learned begins anew with every text, or runs on from one to the next."""


@dataclass(frozen=True)
class Asked:
    """A text, BOS left out.

    Attributes:
        ids: int32 tokens.
        counted: how many of them, from the end, the answer is about; those before are context.
    """

    ids: NDArray[np.int32]
    counted: int


@dataclass(frozen=True)
class Answer:
    """What the counted tokens of a text cost.

    Attributes:
        nats: Σ −ln p.
        greedy: whether each was the most probable one.
        bytes: that they add to the text.
    """

    nats: float
    greedy: bool
    bytes: int


@dataclass
class Scorer:
    """Carries out runs and remembers what they came to.

    Attributes:
        request: what all runs share; its text is put in for each.
        state: see :data:`State`.
        records: of all runs so far.
        answers: of all texts so far.
    """

    request: Request
    tokenizer: Tokenizer
    state: State = "request"
    records: list[RunRecord] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def score(self, texts: Sequence[Asked]) -> list[Answer]:
        """An answer for each, in order; a text without tokens costs nothing and is not run.

        Raises:
            ContractViolation: a strategy broke a clause; nothing of it is a score.
            EvaladaptError: a run cannot be carried out.
        """
        asked = [one for one in texts if len(one.ids)]
        groups = [asked] if self.state == "stream" else [[one] for one in asked]
        found = iter([answer for group in groups if group for answer in self._run(group)])
        answers = [next(found) if len(one.ids) else Answer(0.0, True, 0) for one in texts]
        self.answers += answers
        return answers

    def summary(self) -> dict[str, Any]:
        """What was run and what it came to, as JSON values; sums are over all counted tokens so far.

        The verdict is that of every run, or UNCHECKED; ``targets_bound`` is the weakest of any run.
        """
        summary: dict[str, Any] = {"version": evaladapt.__version__, "state": self.state, "runs": len(self.records)}
        if not self.records:
            return summary
        first, verdicts = self.records[0], {one.verdict for one in self.records}
        bits, size = sum(one.nats for one in self.answers) / math.log(2), sum(one.bytes for one in self.answers)
        bounds = [one.checked.targets_bound for one in self.records]
        return summary | {
            "model_sha256": first.artifact.sha256,
            "model_bytes": first.artifact.bytes,
            "composition": first.adapted.plugins,
            "options": {str(one["alias"]): one["options"] for one in first.composition},
            "settings": asdict(first.settings),
            "verdict": verdicts.pop() if len(verdicts) == 1 else UNCHECKED,
            "looks": sum(len(one.checked.looks) for one in self.records),
            "targets_bound": None if None in bounds else max(one for one in bounds if one is not None),
            "bits": bits,
            "bytes": size,
            "bits_per_byte": bits / size if size else None,
            "seconds": sum(one.adapted.seconds for one in self.records),
        }

    def _run(self, group: Sequence[Asked]) -> list[Answer]:
        stream = self._stream(group)
        favourites = Favourites(stream)
        request = replace(self.request, open_text=lambda _: stream)
        result = result_of(evaluated(request, coder=favourites))
        self.records.append(result.record)
        ends = np.cumsum([len(one.ids) + 1 for one in group])
        return [
            _answer(result.target_nats, favourites.hit, stream, slice(end - one.counted, end))
            for one, end in zip(group, ends, strict=True)
        ]

    def _stream(self, group: Sequence[Asked]) -> TokenStream:
        bos = np.array([self.tokenizer.bos_id], dtype=np.int32)
        tokens = np.concatenate([part for one in group for part in (bos, one.ids)])
        return stream_from_tokens(tokens, self.tokenizer, "requests")


class Favourites:
    """Sees every target with its distribution once it is charged, and notes whether it was the most probable token.

    Attributes:
        hit: bool [N+1], by target.
    """

    def __init__(self, stream: TokenStream) -> None:
        self._tokens = stream.tokens
        self.hit: NDArray[np.bool_] = np.zeros(len(stream.tokens), dtype=bool)

    def settle(self, targets: NDArray[np.int64], logprobs: Logprobs) -> None:
        """As :class:`evaladapt.judge.charging.TargetCoder`."""
        self.hit[targets] = logprobs.argmax(axis=1) == self._tokens[targets]

    def state(self) -> CoderState:
        """Nothing: these runs leave no snapshots."""
        return {}

    def restore(self, state: CoderState) -> None:
        """Nothing."""


def _answer(nats: NDArray[np.float32], hit: NDArray[np.bool_], stream: TokenStream, counted: slice) -> Answer:
    return Answer(
        nats=math.fsum(nats[counted].tolist()),
        greedy=bool(hit[counted].all()),
        bytes=int(stream.byte_lengths[counted].sum(dtype=np.int64)),
    )

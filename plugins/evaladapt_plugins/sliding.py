"""The sliding window: every window after the first scores its last ``stride`` targets with the rest as context.

Where a window starts depends on earlier targets only, never on where the text or a later document ends, so the last
window of a text is shorter instead of moved. (The rule that published systems used kept windows past the end and scored
their last targets up to 32 times.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from evaladapt.contract import Capabilities, ModelInfo, Stage, StreamInfo, UsageError, Window, hookimpl, option

LONGEST = 1024
"""Tokens of a window where nobody asks for more: what strategies learn from lies between windows, and a row's cost
grows with its square."""


@dataclass(frozen=True, kw_only=True)
class SlidingOptions:
    """Options of ``sliding``."""

    stride: int | None = option(None, "targets scored by every window after the first; none: half the context",
                                minimum=1)  # fmt: skip
    context: int | None = option(
        None, "tokens of a window; none: the model's training window, at most 1,024", minimum=1
    )
    documents: Literal["continuous", "independent"] = option(
        "continuous", "whether windows reach across document boundaries"
    )


class Sliding:
    """Provider of the plan. Costs ``context / stride`` forward passes over the text."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PLAN)
    Options = SlidingOptions

    def __init__(self, options: SlidingOptions) -> None:
        self._options = options

    @hookimpl
    def plan(self, stream: StreamInfo, model: ModelInfo) -> Iterator[Window]:
        """Windows over the stream, or over every document by itself."""
        context = self._options.context or min(model.context, LONGEST)
        stride = self._options.stride or max(1, context // 2)
        if stride > context:
            raise UsageError(
                f"sliding.stride {stride} is above the window of {context} tokens, so targets would be left out."
                f" Choose at most {context}: -o sliding.stride={context}"
            )
        if self._options.documents == "continuous":
            return slide(0, stream.targets, context, stride)
        return slide_documents(stream, context, stride)


def slide(first: int, last: int, context: int, stride: int) -> Iterator[Window]:
    """Windows that score the targets ``first + 1 … last`` and read nothing before ``first``."""
    score_from, nominal_end = first + 1, first + 1 + context
    while score_from <= last:
        score_to = min(nominal_end, last + 1)
        yield Window(max(first, nominal_end - 1 - context), score_from, score_to)
        score_from, nominal_end = score_to, nominal_end + stride


def slide_documents(stream: StreamInfo, context: int, stride: int) -> Iterator[Window]:
    """Every document by itself; the BOS after a document is its last target."""
    ends = (*stream.document_starts[1:], stream.targets)
    for first, last in zip(stream.document_starts, ends, strict=True):
        yield from slide(first, last, context, stride)

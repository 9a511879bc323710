"""The windows of ``sliding``, read on: every token goes through the model once, not ``context / stride`` times.

The model keeps the keys and values of the window's past instead of reading it again for every window. What it keeps was
computed from what lay before then, further back than the window reaches, so this is another function than ``sliding``,
by as much as a layer can tell of the layer below. Columns at the start of the row stay for good: attention that finds
nothing to read leans on them (attention sinks, Xiao et al. 2023), and they are as near as in training.

Where strategies write to the weights, keys and values are those of the weights that read them. ``rebuild`` has the past
read again, by the weights of now, every so many windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from evaladapt.contract import Capabilities, ModelInfo, Stage, StreamInfo, UsageError, Window, hookimpl, option
from evaladapt_plugins.sliding import LONGEST, slide, slide_documents


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """Options of ``stream``."""

    stride: int | None = option(None, "targets of every window after the first; none: a quarter of the context",
                                minimum=1)  # fmt: skip
    context: int | None = option(
        None, "tokens of a window; none: the model's training window, at most 1,024", minimum=1
    )
    sinks: int = option(4, "tokens that stay readable from the start of the row, as far as a window's past has room",
                        minimum=0)  # fmt: skip
    rebuild: int = option(0, "windows after which the past is read again, by the weights of then; 0: never", minimum=0)
    documents: Literal["continuous", "independent"] = option(
        "continuous", "whether the row goes on across document boundaries"
    )


class Stream:
    """Provider of the plan. Costs one forward pass over the text."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PLAN, continues=True)
    Options = StreamOptions

    def __init__(self, options: StreamOptions) -> None:
        self._options = options

    @hookimpl
    def plan(self, stream: StreamInfo, model: ModelInfo) -> Iterator[Window]:
        """Windows over the stream, or over every document by itself; all but the first of a row continue it."""
        context = self._options.context or min(model.context, LONGEST)
        stride = self._options.stride or max(1, context // 4)
        if not stride <= context <= model.context:
            raise UsageError(
                f"stream.context {context} must be at least the stride of {stride} and at most the {model.context}"
                f" tokens that the model was trained on: -o stream.context={model.context}"
            )
        sinks = min(self._options.sinks, context - stride)
        if self._options.documents == "continuous":
            return _reading_on(slide(0, stream.targets, context, stride), sinks, self._options.rebuild)
        return _reading_on(slide_documents(stream, context, stride), sinks, self._options.rebuild)


def _reading_on(windows: Iterable[Window], sinks: int, rebuild: int) -> Iterator[Window]:
    """The windows, each continuing the one before unless it has no past or its turn to be read again has come."""
    since = 0
    for window in windows:
        continues = window.past > 0 and (rebuild == 0 or since < rebuild)
        since = since + 1 if continues else 1
        yield replace(window, continues=continues, sinks=sinks if continues else 0)

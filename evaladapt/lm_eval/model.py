"""The model class: what lm-evaluation-harness asks goes to the judge, and a sealed player predicts it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model

from evaladapt.data.encoding import refuse_changed
from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.engine.loop import Settings
from evaladapt.engine.parts import mode_named
from evaladapt.errors import UsageError
from evaladapt.judge.records.record import UNCHECKED
from evaladapt.judge.request import Request, level_named
from evaladapt.lm_eval.scoring import Asked, Scorer, State
from evaladapt.results.run import as_model, composed_of
from evaladapt.system.working_memory import working_memory

log = logging.getLogger(__name__)
STATES: dict[str, State] = {"request": "request", "stream": "stream"}


@register_model("evaladapt")
class EvaladaptLM(TemplateLM):  # type: ignore[misc]  # the harness has no types
    """A frozen model with a composition of strategies, for tasks of type ``loglikelihood(_rolling)``.

    A request is a text that starts with BOS. Its windows are those of the composition's plan; its context is scored
    too, so that strategies may learn from it, and only the continuation counts.

    Args:
        model: as :func:`evaladapt.run` takes it.
        plugins: the composition; ``+`` stands for the comma, which the harness's ``--model_args`` cannot hold.
        state: ``request``: every request is a run of its own, in a player that has seen none before; ``stream``:
            the requests of a task are documents of one run, and what was learned runs on from one to the next.
        batch: windows forwarded together. The harness's own ``batch_size`` is taken and not used, for how often a
            strategy learns is part of what is scored.
        mode: ``block`` or ``step``, as the command line's.
        audit: how much players are doubted: ``off`` is UNCHECKED.
        inline: everything in this process, UNCHECKED.
        seed: of strategies that draw random numbers.
        device: ``auto``, ``cpu``, ``cuda``, …; the harness asks for ``cuda:0`` where nobody says, so that CUDA that is
            not there is the CPU.
        options: of strategies, by ``alias.key``, as in ``model=micro,plugins=ttt,ttt.lr=0.004``.

    Raises:
        EvaladaptError: the model, the composition or an option is not what is installed.
    """

    def __init__(
        self,
        model: str = "default",
        plugins: str | Sequence[str] = (),
        *,
        state: str = "request",
        batch: int = 16,
        mode: str = "block",
        audit: str = "sample",
        inline: bool = False,
        seed: int = 0,
        device: str | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if state not in STATES:
            raise UsageError(f"state={state!r} is none of {', '.join(STATES)}")
        wanted = plugins.replace("+", ",") if isinstance(plugins, str) else plugins
        request = Request(
            model=as_model(model).reference,
            composed=composed_of(wanted, options),
            open_text=_no_text,
            settings=Settings(batch=batch, seed=seed, mode=mode_named(mode), memory=working_memory()),
            doubt=level_named(audit),
            inline=inline,
            with_base=False,
            device=_there(device),
        )
        self._tokenizer = as_model(model).tokenizer
        self._scorer = Scorer(request, self._tokenizer, STATES[state])
        if inline or audit == "off":
            log.warning("evaladapt: nobody is sealed or nobody is asked, so every number of this run is %s", UNCHECKED)

    @property
    def eot_token_id(self) -> int:
        """What stands before every request."""
        return self._tokenizer.bos_id

    @property
    def tokenizer_name(self) -> str:
        """For the harness's caches of tokenised requests."""
        return f"evaladapt-{self._tokenizer.sha256}"

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Ids without BOS."""
        found: list[int] = self._tokenizer.encode(string).tolist()
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """ln p of every text, whole.

        Raises:
            DataError: the tokenizer would change a text, so that its bytes would not be those that were scored.
        """
        asked = []
        for number, (text,) in enumerate((one.args for one in requests), 1):
            ids = self._tokenizer.encode(text)
            refuse_changed(text, ids, self._tokenizer, f"request {number}")
            asked.append(Asked(ids, len(ids)))
        return [-one.nats for one in self._scorer.score(asked)]

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        asked = []
        for _pair, context, wanted in requests:
            before = [] if context == [self.eot_token_id] else context
            asked.append(Asked(np.array([*before, *wanted], dtype=np.int32), len(wanted)))
        return [(-one.nats, one.greedy) for one in self._scorer.score(asked)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> NoReturn:
        """Nothing is generated here.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "evaladapt scores text and generates none; choose tasks whose output_type is loglikelihood,"
            " loglikelihood_rolling or multiple_choice"
        )

    def get_model_info(self) -> dict[str, Any]:
        """What stands in the harness's result file under ``config``: what was run, its verdict, and its bytes."""
        return {"evaladapt": self._scorer.summary()}


def _there(device: str | None) -> str:
    if device is None or (device.startswith("cuda") and not torch.cuda.is_available()):
        return "auto"
    return device


def _no_text(tokenizer: Tokenizer) -> TokenStream:
    raise NotImplementedError("every run brings its own")

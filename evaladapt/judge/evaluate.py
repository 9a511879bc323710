"""One evaluation: the plan alone, then the composition, on the same text; out comes the run record.

The order is the contract's. Players are started, they load and warm up, they are sealed and looked over; then the text
is opened, here; then it is played.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from evaladapt.data.stream import TokenStream
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.engine.player.protocol import Rows
from evaladapt.errors import ContractViolation, PluginError
from evaladapt.judge.charging import Charging, Progress, Rules, TargetCoder
from evaladapt.judge.doubt.looks import Draw, Looks
from evaladapt.judge.doubt.twins import Twins
from evaladapt.judge.outcome import Outcome
from evaladapt.judge.player.clerk import clerk_for
from evaladapt.judge.player.performers import Seat, seat_all
from evaladapt.judge.player.ready import plan_of
from evaladapt.judge.records.folder import ADAPTED, BASE
from evaladapt.judge.records.record import Record
from evaladapt.judge.records.remembered import remembered_base
from evaladapt.judge.records.snapshot import Journal
from evaladapt.judge.records.verdict import broken_record, checked_by, finished_record
from evaladapt.judge.request import Request, located, model_files
from evaladapt.model.families import open_tokenizer, tokenizer_is_ours

ProgressOf = Callable[[str], Progress]


@dataclass(frozen=True)
class Evaluated:
    """A request carried out: its record, the text, and what the passes charged; ``adapted`` is None where it ended."""

    record: Record
    stream: TokenStream
    base: Outcome | None
    adapted: Outcome | None


def evaluate(
    request: Request, progress: ProgressOf | None = None, *, base: Outcome | None = None, draw: Draw | None = None
) -> Record:
    """Carry out the request: a :class:`RunRecord`, or the record of a run that broke the contract, without a score.

    Args:
        request: what to run.
        progress: called with the name of every pass; returns the callback for it.
        base: outcome of the plan alone on the same text, where it is known already.
        draw: random numbers for the looks; the system's own unless a test brings some.

    Raises:
        EvaladaptError: the request cannot be carried out, or a strategy failed.
    """
    return evaluated(request, progress, base=base, draw=draw).record


def evaluated(
    request: Request,
    progress: ProgressOf | None = None,
    *,
    base: Outcome | None = None,
    draw: Draw | None = None,
    coder: TargetCoder | None = None,
) -> Evaluated:
    """As :func:`evaluate`, with what every target and document was charged.

    ``coder`` is handed what the composition predicted, target by target, once it is charged.
    """
    if request.inline or request.opened is not None:
        from evaladapt.judge.inlined import evaluated_inline

        return evaluated_inline(request, progress, base, coder)
    with ExitStack() as stack:
        return _Evaluation(request, stack, progress, draw or np.random.default_rng(), coder).carried_out(base)


def score_base(request: Request, progress: ProgressOf | None = None) -> Outcome:
    """Score the plan of the request alone.

    Raises:
        EvaladaptError: as :func:`evaluate`; ContractViolation too.
    """
    if request.inline:
        from evaladapt.judge.inlined import base_inline

        return base_inline(request, progress)
    with ExitStack() as stack:
        return _Evaluation(request, stack, progress, np.random.default_rng()).base_alone()


class _Evaluation:
    """The players of one request, and what becomes known on the way."""

    def __init__(
        self,
        request: Request,
        stack: ExitStack,
        progress: ProgressOf | None,
        draw: Draw,
        coder: TargetCoder | None = None,
    ) -> None:
        self._request, self._stack, self._progress, self._draw = request, stack, progress, draw
        self._coder = coder

    def carried_out(self, base: Outcome | None) -> Evaluated:
        """Both passes."""
        request = self._request
        wants_base = base is None and request.with_base and bool(request.composed.names)
        recipes = [request.recipe(base=one) for one in (False, True)[: 1 + wants_base]]
        seats = seat_all(recipes, request.patience, self._stack)
        _refuse_other_plans(seats)
        seat, stream = seats[0], open_text(request)
        adaptive = len(seat.ready["composition"]) > 1
        looks = Looks(stream.targets, None, self._draw, every_batch=request.doubt == "full")
        twins: Twins | None = None
        try:
            if wants_base and adaptive:
                base = self._remembered(seats[1], stream) or self._play(BASE, seats[1], stream)[0]
            base = base if adaptive else None
            looks.base_nats = base.target_nats.astype(np.float64) if base else None
            # A base that is remembered buys as many looks as one that was just scored: the proof is no weaker.
            outcome, twins = self._play(ADAPTED, seat, stream, looks, base.seconds if base else 0.0)
        except ContractViolation as violation:
            broken = broken_record(request, seat.ready, stream, violation, base, checked_by(request, seat, None))
            return Evaluated(broken, stream, base, None)
        record = finished_record(request, seat.ready, stream, outcome, base, checked_by(request, seat, twins))
        return Evaluated(record, stream, base, outcome)

    def base_alone(self) -> Outcome:
        """The first pass only."""
        (seat,) = seat_all([self._request.recipe(base=True)], self._request.patience, self._stack)
        return self._play(BASE, seat, open_text(self._request))[0]

    def _remembered(self, seat: Seat, stream: TokenStream) -> Outcome | None:
        """The base as a run beside this one has scored it; its player says what it would play, and needs not."""
        request = self._request
        if request.folder is None or request.processes > 1:
            return None
        sealed = bool(seat.sealed.mechanisms)
        return remembered_base(request.folder, request.facts(seat.ready, stream.sha256), stream, sealed=sealed)

    def _play(
        self, name: str, seat: Seat, stream: TokenStream, looks: Looks | None = None, seconds_before: float = 0.0
    ) -> tuple[Outcome, Twins | None]:
        request, ready = self._request, seat.ready
        rules = Rules(
            mode=request.settings.mode,
            boundaries=request.boundaries,
            rows=request.settings.batch,
            shows_targets=bool(ready["peeking"]),
        )
        journal = None
        if request.folder is not None:
            journal = Journal(
                request.folder,
                name,
                request.facts(ready, stream.sha256),
                resume=request.resume,
                writes=request.writes,
                say=request.say,
            )
            self._stack.callback(journal.file.close)
        coder = self._coder if name == ADAPTED else None
        progress = self._progress(name) if self._progress else None
        charging = Charging(stream, rules, coder=coder, journal=journal, progress=progress)
        twins = None
        if looks and _can_be_asked(request, seat):
            aliases = tuple(str(one["alias"]) for one in ready["composition"])
            twins = Twins(
                seat.player,
                stream,
                charging.free,
                looks,
                rows=Rows(ready["rows"]),
                vocab_size=ready["vocab_size"],
                replays_cheaply=ready["predicts_without_trace"],
                strategies=aliases,
                seconds_before=seconds_before,
            )
            self._stack.callback(twins.forget)
        return seat.perform(charging, twins), twins


def open_text(request: Request) -> TokenStream:
    """The text, tokenised here; every player is sealed by now.

    Raises:
        DataError: it cannot be used.
    """
    return request.open_text(tokenizer_of(request.model))


def tokenizer_of(model: str) -> Tokenizer:
    """The tokenizer of a model; a stranger's is code that is not run beside a text, so it is asked in another process.

    Raises:
        EvaladaptError: it cannot be opened.
    """
    if tokenizer_is_ours(model):
        return open_tokenizer(model)
    return clerk_for(model, located(model), model_files(model))


def _refuse_other_plans(seats: Sequence[Seat]) -> None:
    """What a composition is held against is its own plan."""
    plans = [plan_of(seat.ready) for seat in seats]
    if len(set(plans)) > 1:
        raise PluginError(f"the player says that its plan is {plans[0]}, and alone it is {plans[1]}")


def _can_be_asked(request: Request, seat: Seat) -> bool:
    """Twins are for block mode: in step mode a player is told nothing unscored. They are forks, so no CUDA."""
    asked = (
        request.doubt != "off"
        and request.processes == 1
        and request.settings.mode == "block"
        and not seat.ready["peeking"]
    )
    return asked and seat.sealed.holds and seat.ready["device"] == "cpu"

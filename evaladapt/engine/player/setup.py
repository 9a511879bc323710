"""What a player makes of its recipe: the model opened, the strategies composed, and both tried out on nonsense.

The try-out happens in a fork that is thrown away, so that no strategy has seen anything when it begins; what it had to
import is imported here too, because after the seal nothing can be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import evaladapt
from evaladapt.contract.composition import Composition, compose
from evaladapt.contract.origin import hash_of_folder, origin_of
from evaladapt.contract.views import Vocabulary, Window
from evaladapt.engine.hooks.states import unpack_states
from evaladapt.engine.hooks.weights import digest
from evaladapt.engine.loop import Engine, Settings, predicts_without_trace
from evaladapt.engine.parts import PARTS, Mode, Part
from evaladapt.engine.player.canary import canary
from evaladapt.engine.player.protocol import Rows
from evaladapt.engine.player.stand_in import StandIn
from evaladapt.engine.source import Beginning, Settled, TextShape
from evaladapt.engine.windows import Batch, batches, covering
from evaladapt.errors import UsageError
from evaladapt.model.backend import Backend, IncrementalBackend
from evaladapt.model.device import choose_device
from evaladapt.model.families import OpenedModel, open_model
from evaladapt.system.threads import Pool, use_threads

LONGEST_WINDOW = 256
MOST_WORK = 20_000_000_000
"""Weights times targets: beyond, strategies are tried out on a model that stands in for the real one."""
MOST_TARGETS = 8192
ROWS = 2
MOST_REASON = 500


@dataclass(frozen=True)
class Setup:
    """A model, a composition and the settings of a run."""

    opened: OpenedModel
    composition: Composition
    settings: Settings
    with_canary: bool = False

    @classmethod
    def of(cls, recipe: dict[str, Any], opened: OpenedModel | None = None) -> Setup:
        """Open and compose what a recipe names; a model in memory is ``opened`` already.

        Raises:
            UsageError, PluginError, ArtifactError, ModelError: as :func:`compose` and :func:`open_model`.
        """
        use_threads(recipe["threads"])
        composition = compose(recipe["names"], recipe["options"], allow_noncausal=recipe["allow_noncausal"])
        opened = opened or open_model(recipe["model"], choose_device(recipe["device"]))
        chosen = composition.base() if recipe["base"] else composition
        return cls(opened, chosen, Settings(**recipe["settings"]), recipe["with_canary"])

    @property
    def vocabulary(self) -> Vocabulary:
        """What the tokens stand for."""
        tokenizer = self.opened.tokenizer
        return Vocabulary(tuple(tokenizer.piece_bytes), frozenset(tokenizer.special_ids))

    def description(self) -> dict[str, Any]:
        """What the record says of model and strategies, and what the judge has to know to check and doubt them."""
        model = self.opened.backend
        members = self.composition.members
        return {
            "composition": [_described(member) for member in members],
            "line": self.composition.line,
            "base_line": self.composition.base().line,
            "peeking": [one.alias for one in members if one.capabilities.peeks],
            "breaks": sorted({clause for one in self.composition.peeking for clause in one.capabilities.breaks}),
            "rows": int(_rows_needed(self.composition)),
            "predicts_without_trace": predicts_without_trace(members),
            "vocab_size": model.vocab_size,
            "context": model.context,
            "model": {
                "family": self.opened.family,
                "reference": self.opened.reference,
                "sha256": self.opened.identity,
                "bytes": self.opened.bytes,
                "path": self.opened.files[0].path if len(self.opened.files) == 1 else self.opened.reference,
                "weights_sha256": digest(dict(model.named_parameters())),
            },
            "device": str(_device(model)),
            "canary": canary(model) if self.with_canary else None,
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "evaladapt": evaladapt.__version__,
                "cpu": torch.backends.cpu.get_cpu_capability(),
                "code": hash_of_folder(Path(evaladapt.__file__).parent),
            },
        }

    def warm_up(self) -> None:
        """Run on nonsense in a fork, and import what that imported."""
        reads, writes = os.pipe()
        threads = torch.get_num_threads() if Pool().give_back() else 1
        pid = os.fork()
        if pid == 0:
            os.close(reads)
            torch.set_num_threads(threads)
            failure = self._rehearsed()
            with os.fdopen(writes, "w") as pipe:
                json.dump({"modules": sorted(sys.modules), "failure": failure}, pipe)
            os._exit(0)
        os.close(writes)
        with os.fdopen(reads) as pipe:
            content = pipe.read()
        os.waitpid(pid, 0)
        found = json.loads(content) if content else {"modules": [], "failure": "the process ended"}
        if found["failure"]:
            print(f"tried on random tokens before the run, it failed: {found['failure']}", file=sys.stderr, flush=True)
        for name in found["modules"]:
            if name not in sys.modules and not name.startswith("__"):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        _compute_once(self.opened)

    def _rehearsed(self) -> str | None:
        """Why a run on nonsense failed. It may: random tokens are no text, and the run that counts is another."""
        for output in (1, 2):
            os.dup2(0, output)  # the null device, open for both: by its name it cannot be opened for writing here
        with contextlib.suppress(Exception):  # whatever a stand-in cannot do is tried on the model
            rehearsal = _Rehearsal(self, self.opened.backend)
            if rehearsal.work > MOST_WORK:
                _Rehearsal(self, StandIn(self.opened.backend)).run()
                return None
        try:
            _Rehearsal(self, self.opened.backend).run()
        except UsageError:
            return None  # the run will say so
        except BaseException as error:
            return f"{type(error).__name__}: {error}"[:MOST_REASON]
        return None


class _Rehearsal(Engine):
    """A run on random tokens, in few and short windows whatever the plan; long enough for every strategy to learn."""

    def __init__(self, setup: Setup, model: Backend) -> None:
        settings = dataclasses.replace(setup.settings, batch=ROWS)
        exchange = _Nonsense(model.vocab_size, settings.mode)
        super().__init__(model, setup.composition, settings, exchange, vocabulary=setup.vocabulary)
        self._length = min(LONGEST_WINDOW, max(2, model.context))
        longest = max((one.horizon or 0 for one in self._strategies), default=0)
        exchange.targets = min(MOST_TARGETS, longest + ROWS * self._length)
        self.work = exchange.targets * sum(weight.numel() for _, weight in model.named_parameters())

    def batches(self) -> Iterator[Batch]:
        """A first batch of the plan's, for the plan's sake, and then windows that do not overlap."""
        next(super().batches(), None)
        end = self._exchange.targets + 1  # type: ignore[attr-defined]
        length = 8 if self._settings.mode == "step" else self._length
        starts = range(0, min(end - 1, MOST_TARGETS if length > 8 else 32), length)
        windows = [Window(start, start + 1, min(start + length, end - 1) + 1) for start in starts]
        return batches(covering(windows, windows[-1].score_to - 1, "warm-up"), ROWS)


class _Nonsense:
    """An exchange that makes its text up."""

    wants_trail = False
    targets = MOST_TARGETS

    def __init__(self, vocabulary: int, mode: Mode) -> None:
        self._mode = mode
        self._tokens = np.random.default_rng(0).integers(0, vocabulary, MOST_TARGETS + 1).astype(np.int32)
        self.shape = TextShape("nonsense", MOST_TARGETS, int(self._tokens[0]), (0, MOST_TARGETS // 2))

    def begin(self) -> Beginning:
        return Beginning()

    def open(self, batch: Batch) -> NDArray[np.int32]:
        return self._tokens[batch.frontier : batch.end]  # a strategy that peeks is shown the last target too

    def parts(self, batch: Batch) -> Iterator[Part]:
        return PARTS[self._mode](batch)

    def known(self, batch: Batch) -> None:
        return None

    def settle(self, first: int, logprobs: Tensor, trail: Sequence[Tensor]) -> Settled:
        targets = self._tokens[first : first + len(logprobs)]
        charges = logprobs[torch.arange(len(targets)), torch.from_numpy(targets.astype(np.int64))]
        at_the_end = first + len(targets) > self.targets
        return Settled(targets, charges.double().cpu().numpy(), snapshot=at_the_end)

    def keep(self, state: bytes) -> None:
        if state:
            unpack_states(state)


def _compute_once(opened: OpenedModel) -> None:
    """One small forward and backward, so that whatever computing loads late is loaded."""
    tokens = torch.zeros(1, 8, dtype=torch.int64, device=_device(opened.backend))
    with torch.enable_grad():
        hidden = opened.backend.hidden(tokens).detach().requires_grad_()
        opened.backend.head(hidden).float().log_softmax(-1).sum().backward()  # type: ignore[no-untyped-call]
    if isinstance(opened.backend, IncrementalBackend):
        with torch.no_grad():
            opened.backend.extend(tokens, opened.backend.start_cache(*tokens.shape))


def _rows_needed(composition: Composition) -> Rows:
    """What a target's prediction needs of its batch; a stranger may declare what it likes, a twin then says less."""
    if composition.plan.capabilities.continues:
        return Rows.BEFORE
    reads = [(one.capabilities.scope, set(one.capabilities.reads)) for one in composition.members]
    if any("trail" in wanted for _, wanted in reads):
        return Rows.BEFORE
    shared = any(scope != "window" and wanted & {"hidden", "logits"} for scope, wanted in reads)
    return Rows.FIRST if shared else Rows.ALONE


def _device(model: Any) -> torch.device:
    device: torch.device = next(iter(dict(model.named_parameters()).values())).device
    return device


def _described(member: Any) -> dict[str, Any]:
    """A strategy with origin, options and declared powers."""
    origin = origin_of(member.type)
    return {
        "alias": member.alias,
        "name": origin.name,
        "distribution": member.type.listing.distribution,
        "version": origin.version,
        "code_sha256": origin.code,
        "stage": str(member.capabilities.stage),
        "scope": member.capabilities.scope,
        "peeks": member.capabilities.peeks,
        "options": dataclasses.asdict(member.options),
        "chosen": _chosen(member.options),
    }


def _chosen(options: Any) -> dict[str, Any]:
    """Options that differ from their defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    return {name: value for name, value in dataclasses.asdict(options).items() if value != defaults[name]}

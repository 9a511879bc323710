"""Everything in one process: for a debugger, for classes that live in a test, and for what is no score anyway.

The same engine on the same charging; only that nobody is sealed and nobody is asked, so its verdict is UNCHECKED.
"""

from __future__ import annotations

import time

from evaladapt.contract.composition import Composition
from evaladapt.contract.views import Vocabulary
from evaladapt.engine.loop import Engine, Settings
from evaladapt.engine.source import SideChannel
from evaladapt.judge.charging import Boundaries, Charging, HeldText, Progress, Rules, TargetCoder
from evaladapt.judge.outcome import Outcome, outcome_of
from evaladapt.judge.records.snapshot import Journal
from evaladapt.model.backend import Backend
from evaladapt.system.processes import ALONE, Processes


class InlineRun:
    """A composition on a text in this process.

    Attributes:
        engine: the loop; ``engine.info`` and ``engine.batches()`` can be looked at before it runs.
        charging: what it asks and tells.
    """

    def __init__(
        self,
        model: Backend,
        text: HeldText,
        composition: Composition,
        settings: Settings | None = None,
        *,
        boundaries: Boundaries = "paid",
        coder: TargetCoder | None = None,
        side: SideChannel | None = None,
        journal: Journal | None = None,
        progress: Progress | None = None,
        processes: Processes = ALONE,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        settings = settings or Settings()
        rules = Rules(
            mode=settings.mode, boundaries=boundaries, rows=settings.batch, shows_targets=bool(composition.peeking)
        )
        self.charging = Charging(text, rules, coder=coder, journal=journal, progress=progress)
        self.engine = Engine(model, composition, settings, self.charging, side=side, processes=processes,
                             vocabulary=vocabulary)  # fmt: skip

    def run(self) -> Outcome:
        """Score every target once, left to right.

        Raises:
            ContractViolation: a clause of the contract was broken; nothing of this run is a score.
            PluginError: a strategy raised.
        """
        started = time.perf_counter()
        closing = self.engine.run()
        return outcome_of(self.charging, closing, time.perf_counter() - started)

"""NORM: every distribution that was charged is one, and the ledger holds what it says about the target.

The sums are computed again here, in float64, from distributions taken outside of the composition; the ledger's hash is
computed again from them and the text.

Cannot see: a distribution that is whole but was made with knowledge of the target. The engine looks at every batch of
every run for this; the probe checks the engine.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from evaladapt.audit.bench import Bench, Probe
from evaladapt.audit.finding import Finding
from evaladapt.audit.subject import Logprobs

TOLERANCE = 1e-4
CHUNK = 1024


def norm(bench: Bench) -> list[Finding]:
    """Sums of all distributions, and the ledger computed again."""
    plain = bench.plain
    sums = [_log_sums(plain.logprobs[row : row + CHUNK]) for row in range(0, len(plain.logprobs), CHUNK)]
    distance = np.abs(np.concatenate(sums))
    worst = float(distance.max())
    moved = f"the sum of a distribution is off by a factor of e^{worst:.2g}" if not worst <= TOLERANCE else ""
    whole = bench.finding(
        "C2",
        "NORM",
        f"{len(distance)} distributions summed in float64, worst |ln sum| {worst:.1e} nats",
        changed="nothing",
        difference=moved,
        positions=(int(distance.argmax()) + 1,),
        worst_ln_sum=worst,
    )
    return [whole, _gold(bench)]


def _log_sums(logprobs: Logprobs) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.exp(logprobs.astype(np.float64)).sum(axis=1)
    return np.log(sums)


def _gold(bench: Bench) -> Finding:
    charged = bench.plain.charged(bench.subject.stream.tokens)
    digest = hashlib.sha256(charged.astype("<f8").tobytes()).hexdigest()
    ledger = bench.plain.outcome.digest if bench.plain.outcome else ""
    return bench.finding(
        "C2",
        "GOLD",
        f"the ledger computed again from {len(charged)} distributions has hash {digest[:16]}, the run's {ledger[:16]}",
        changed="nothing",
        difference="" if digest == ledger else "a charge is not what the distribution says about its target",
    )


PROBE = Probe("NORM", ("C2",), "every charged distribution sums to one; charges are its entries", norm)

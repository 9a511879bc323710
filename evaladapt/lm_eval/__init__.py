"""evaladapt as a model of lm-evaluation-harness; importing this registers it there under the name ``evaladapt``.

The harness keeps a list of model classes in its own source and has no entry point for others, so somebody has to import
this first: ``python -m evaladapt.lm_eval run --model evaladapt …`` is the harness's own command with that done.
"""

from __future__ import annotations

from evaladapt.results.table import optional_package

optional_package("lm_eval", "lm-eval")

from evaladapt.lm_eval.model import EvaladaptLM  # noqa: E402  # only where the harness is installed

__all__ = ["EvaladaptLM"]

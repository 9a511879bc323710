"""evaladapt: evaluation-time adaptation of frozen language models under a causality contract.

Importing the package is cheap on purpose: ``evaladapt --help`` must not import torch. What is promised to stay is what
``__all__`` names; it is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaladapt.errors import EvaladaptError
    from evaladapt.results.compare import compare
    from evaladapt.results.comparison import Comparison, open_comparison
    from evaladapt.results.models import Model, open_model, wrap
    from evaladapt.results.result import Document, Result, Target, open_run
    from evaladapt.results.run import run

__version__ = "0.1.0"
__all__ = ["Comparison", "Document", "EvaladaptError", "Model", "Result", "Target", "__version__", "compare",
           "open_comparison", "open_model", "open_run", "run", "wrap"]  # fmt: skip

_PLACES = {
    "run": "evaladapt.results.run",
    "compare": "evaladapt.results.compare",
    "Comparison": "evaladapt.results.comparison",
    "open_comparison": "evaladapt.results.comparison",
    "open_model": "evaladapt.results.models",
    "wrap": "evaladapt.results.models",
    "Model": "evaladapt.results.models",
    "open_run": "evaladapt.results.result",
    "Result": "evaladapt.results.result",
    "Document": "evaladapt.results.result",
    "Target": "evaladapt.results.result",
    "EvaladaptError": "evaladapt.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'evaladapt' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_PLACES[name]), name)

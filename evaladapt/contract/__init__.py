"""The contract: what a strategy may see, say and change. The only room, with ``toolbox``, that a strategy imports."""

from evaladapt.contract.capabilities import CONTRACT_VERSION, Capabilities, Scope, Stage
from evaladapt.contract.hooks import hookimpl
from evaladapt.contract.host import CappedHead, Host, WeightHost
from evaladapt.contract.options import NoOptions, option
from evaladapt.contract.rng import Rng
from evaladapt.contract.views import (
    HIDDEN_TARGET,
    NO_TOKEN,
    Boundary,
    ModelInfo,
    Past,
    Query,
    RunInfo,
    Scored,
    State,
    StreamInfo,
    Vocabulary,
    Window,
)
from evaladapt.errors import UsageError

__all__ = [
    "CONTRACT_VERSION",
    "HIDDEN_TARGET",
    "NO_TOKEN",
    "Boundary",
    "Capabilities",
    "CappedHead",
    "Host",
    "ModelInfo",
    "NoOptions",
    "Past",
    "Query",
    "Rng",
    "RunInfo",
    "Scope",
    "Scored",
    "Stage",
    "State",
    "StreamInfo",
    "UsageError",
    "Vocabulary",
    "WeightHost",
    "Window",
    "hookimpl",
    "option",
]

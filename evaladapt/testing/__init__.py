"""For authors of strategies and of model families: the contract as a test kit, on tiny models and texts.

    from evaladapt.testing import check_strategy

    def test_my_strategy_keeps_the_contract():
        check_strategy(MyStrategy, options={"rate": 0.1})

    def test_my_model_can_be_relied_on():
        check_model("my-family:FILE")

pytest also offers ``check_strategy`` as a fixture (``evaladapt.testing.pytest_plugin``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaladapt.testing.check import StrategyFailsContract, check_strategy
    from evaladapt.testing.complaints import ModelFailsCheck
    from evaladapt.testing.model_check import CheckedModel, check_model

__all__ = ["CheckedModel", "ModelFailsCheck", "StrategyFailsContract", "check_model", "check_strategy"]
_MODULES = {"CheckedModel": "model_check", "ModelFailsCheck": "complaints", "check_model": "model_check"}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: pytest loads this package at every start, and must not load torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"evaladapt.testing.{_MODULES.get(name, 'check')}"), name)

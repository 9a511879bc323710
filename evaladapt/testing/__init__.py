"""For authors of strategies: the contract as a test kit, on tiny models and texts.

    from evaladapt.testing import check_strategy

    def test_my_strategy_keeps_the_contract():
        check_strategy(MyStrategy, options={"rate": 0.1})

pytest also offers ``check_strategy`` as a fixture (``evaladapt.testing.pytest_plugin``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaladapt.testing.check import StrategyFailsContract, check_strategy

__all__ = ["StrategyFailsContract", "check_strategy"]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: pytest loads this package at every start, and must not load torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evaladapt.testing import check

    return getattr(check, name)

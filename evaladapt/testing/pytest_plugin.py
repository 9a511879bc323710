"""The pytest plugin: ``check_strategy`` as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from evaladapt.testing.check import Checker


@pytest.fixture(name="check_strategy", scope="session")
def _check_strategy() -> Checker:
    """The function :func:`evaladapt.testing.check_strategy`: runs the whole contract on a strategy class."""
    from evaladapt.testing.check import check_strategy

    return check_strategy

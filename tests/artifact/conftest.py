import pytest

from tests.artifact.golden_input import GOLDEN


@pytest.fixture(scope="session")
def golden() -> bytes:
    return GOLDEN.read_bytes()

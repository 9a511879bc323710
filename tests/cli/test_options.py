import pytest

from evaladapt.cli.options import size_named
from evaladapt.errors import UsageError


@pytest.mark.parametrize(("text", "size"), [("2G", 2 * 10**9), ("500m", 5 * 10**8), ("1_000KB", 10**6), ("123", 123)])
def test_a_size_is_a_number_of_bytes_with_a_decimal_unit(text, size):
    assert size_named(text) == size


@pytest.mark.parametrize("text", ["", "2T", "-1", "0", "1.5G", "much"])
def test_what_is_no_size_is_told(text):
    with pytest.raises(UsageError, match="as in: --memory 2G"):
        size_named(text)

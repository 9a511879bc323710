from dataclasses import dataclass
from typing import Literal

import pytest

from evaladapt.contract.options import build_options, describe, option
from evaladapt.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    rate: float = option(0.1, "a rate", above=0)
    epochs: int = option(3, "passes", minimum=1, maximum=9)
    name: str = option("x", "a name")
    loud: bool = option(False, "a switch")
    kind: Literal["sgd", "muon"] = option("sgd", "a choice")
    length: int | None = option(None, "a length or none", minimum=1)


def build(**given):
    return build_options("ttt", Options, given)


def test_text_is_parsed_by_the_declared_type():
    built = build(rate="2e-3", epochs="4", name="7", loud="yes", kind="muon", length="1_000")
    assert built == Options(rate=0.002, epochs=4, name="7", loud=True, kind="muon", length=1000)


def test_toml_values_pass_by_type_and_whole_numbers_serve_as_floats():
    assert build(rate=1, length=None, loud=True) == Options(rate=1.0, loud=True)
    assert build(length="none").length is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rte": "1"}, "Did you mean 'rate'?"),
        ({"rte": "1"}, "evaladapt plugins show ttt"),
        ({"epochs": "2.5"}, "ttt.epochs takes int, not '2.5'"),
        ({"epochs": True}, "ttt.epochs takes int, not True"),
        ({"epochs": 0}, "ttt.epochs is at least 1, not 0"),
        ({"epochs": 10}, "ttt.epochs is at most 9, not 10"),
        ({"rate": 0}, "ttt.rate is above 0"),
        ({"rate": "nan"}, "ttt.rate takes a number"),
        ({"loud": "perhaps"}, "ttt.loud takes bool"),
        ({"kind": "mon"}, "none of sgd, muon. Did you mean 'muon'?"),
        ({"length": "short"}, "ttt.length takes int"),
        ({"name": 3}, "ttt.name takes str, not 3"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(given, said):
    with pytest.raises(UsageError) as caught:
        build(**given)
    assert said in str(caught.value)


def test_description_names_type_default_and_help():
    rows = {row.name: row for row in describe(Options)}
    assert rows["kind"].type == "sgd|muon"
    assert rows["length"].type == "int or none"
    assert rows["rate"].default == 0.1
    assert rows["loud"].help == "a switch"

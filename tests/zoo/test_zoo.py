from pathlib import Path

import pytest

from evaladapt.audit.full import audit, probes_named
from tests.zoo import adapting, distribution, hiding, passes
from tests.zoo.subjects import toy_bench
from tests.zoo.table import README, leaks, page, readme_with
from tests.zoo.thief import CHEATS

FAMILIES = (adapting, distribution, passes, hiding)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    yield
    hiding.DROP.unlink(missing_ok=True)
    hiding.KEPT_IN_THE_MODULE.clear()
    adapting.FullPassFirst.learned = None


@pytest.mark.parametrize("cheat", CHEATS, ids=[f"{one.leak}-{one.cls.__name__}-{one.probe}" for one in CHEATS])
def test_a_cheat_is_convicted_by_the_probe_meant_for_it(cheat):
    findings = audit(toy_bench(cheat.cls, **cheat.subject), probes_named([cheat.probe]))
    failed = [one for one in findings if one.outcome == "fail"]
    assert [(one.probe, one.clause) for one in failed] == [(cheat.probe, cheat.clause)], list(map(str, findings))
    assert failed[0].counterexample.difference
    assert failed[0].counterexample.command


def test_the_zoo_holds_every_leak_that_a_strategy_can_commit():
    assert len(CHEATS) >= 40
    leaks = {one.leak for one in CHEATS}
    assert {f"L{number:02d}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14)} <= leaks
    assert {f"L{number}" for number in (16, 17, 18, 19, 20, 21, 24)} <= leaks
    assert {f"L{number}" for number in (25, 26, 27, 28, 29, 30, 31, 32, 47)} <= leaks


def test_the_page_of_the_zoo_is_up_to_date():
    assert (Path(__file__).parent / "README.md").read_text(encoding="utf-8") == page()


def test_the_leaks_in_the_readme_are_up_to_date():
    readme = README.read_text(encoding="utf-8")
    assert readme == readme_with(leaks(), readme)
    assert leaks().count("\n| L") + leaks().count("\n| H") + leaks().count("\n| F") >= 30

import json

import pytest

from evaladapt.cli.main import invoke


def test_the_list_names_the_built_in_strategies_like_any_other(capsys):
    assert invoke(["plugins", "list", "--json"]) == 0
    rows = {row["alias"]: row for row in json.loads(capsys.readouterr().out)["strategies"]}
    assert {"sliding", "ttt", "slot-lbfgs"} <= set(rows)
    assert rows["ttt"]["distribution"] == "evaladapt"


@pytest.mark.parametrize("name", ["sliding", "ttt", "slot-lbfgs"])
def test_show_gives_options_with_type_default_and_help(capsys, name):
    assert invoke(["plugins", "show", name]) == 0
    text = capsys.readouterr().out
    assert f"-o {name}.NAME=VALUE" in text
    assert invoke(["plugins", "show", name, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert all(option["help"] and option["type"] for option in content["options"])
    assert content["description"]


def test_show_of_an_unknown_name_exits_with_4(capsys):
    assert invoke(["plugins", "show", "slot-lbfg"]) == 4
    assert "Did you mean 'slot-lbfgs'?" in capsys.readouterr().err


def test_every_hook_is_shown_with_the_arguments_that_it_offers(capsys):
    assert invoke(["plugins", "hooks"]) == 0
    assert "observe(scored, host, rng)" in capsys.readouterr().out
    assert invoke(["plugins", "hooks", "--json"]) == 0
    rows = {row["hook"]: row for row in json.loads(capsys.readouterr().out)["hooks"]}
    assert rows["mix"]["arguments"] == ["logprobs", "query", "rng"]
    assert all(row["summary"] for row in rows.values())

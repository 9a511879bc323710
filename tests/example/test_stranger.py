"""A stranger's distribution from pip install to pip uninstall, and one that ``evaladapt plugins new`` wrote."""

import json

import pytest

from evaladapt.cli.main import invoke
from evaladapt.cli.plugins_new import Names

QUICK = ["--probes", "flip,step,repeat"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    assert invoke(["plugins", "new", "recent-words", "--folder", str(folder)]) == 0
    return folder / "evaladapt-recent-words"


@pytest.fixture(scope="module")
def installed(environment, example, written):
    environment.install(example, written)
    return environment


def test_both_are_found_by_entry_point_with_their_versions(installed):
    rows = {one["alias"]: one for one in json.loads(installed.evaladapt("plugins", "list", "--json"))["strategies"]}
    assert (rows["uniform-mix"]["distribution"], rows["uniform-mix"]["version"]) == ("evaladapt-uniform-mix", "1.0.0")
    assert (rows["recent-words"]["distribution"], rows["recent-words"]["version"]) == (
        "evaladapt-recent-words",
        "0.1.0",
    )


@pytest.mark.parametrize("alias", ["uniform-mix", "recent-words"])
def test_they_run_and_are_audited_like_any_other(installed, tiny_artifact, text_file, tmp_path, alias):
    given = [tiny_artifact, "--plugins", alias, "--data", text_file, "-o", f"{alias}.share=0.1", "--limit-tokens", "90"]
    record = json.loads(installed.evaladapt("run", *given, "--json", "--out", tmp_path / "run"))
    assert record["verdict"] == "CAUSAL"
    assert record["composition"][1]["options"]["share"] == 0.1
    assert record["bpb"] != record["base"]["bits_per_byte"]
    audited = json.loads(installed.evaladapt("audit", *given, *QUICK, "--on", "artifact", "--json"))
    assert audited["verdict"] == "PASSED"


def test_their_own_tests_pass(installed, example, written):
    options = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(written), "-W", "error"]
    out = installed.call("-m", "pytest", *options, str(example / "tests"), str(written / "tests"))
    assert "5 passed" in out


def test_one_that_is_removed_is_gone(installed):
    installed.pip("uninstall", "--yes", "evaladapt-uniform-mix")
    rows = json.loads(installed.evaladapt("plugins", "list", "--json"))["strategies"]
    assert "uniform-mix" not in {one["alias"] for one in rows}
    message = installed.evaladapt("run", "--plugins", "uniform-mix", code=4)
    assert "no strategy 'uniform-mix' is installed" in message


@pytest.mark.parametrize("name", ["Recent", "recent_words", "1st", "a--b", ""])
def test_a_name_that_is_none_is_refused(capsys, tmp_path, name):
    assert invoke(["plugins", "new", name, "--folder", str(tmp_path)]) == 2
    assert "no name for a strategy" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_taken_name_and_a_taken_folder_are_refused(capsys, tmp_path):
    assert invoke(["plugins", "new", "sliding", "--folder", str(tmp_path)]) == 2
    assert "installed already, by evaladapt" in capsys.readouterr().err
    (tmp_path / "evaladapt-own").mkdir()
    assert invoke(["plugins", "new", "own", "--folder", str(tmp_path)]) == 2
    assert "there already" in capsys.readouterr().err


def test_names_follow_from_the_alias():
    names = Names("my-own-one")
    assert (names.distribution, names.module, names.cls) == ("evaladapt-my-own-one", "evaladapt_my_own_one", "MyOwnOne")

import pytest

from evaladapt.artifact import NotAnArtifact, find_artifact, shipped_artifacts
from evaladapt.artifact import shipped as room


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("package", "checkout"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(room, "PACKAGE_FOLDER", tmp_path / "package")
    monkeypatch.setattr(room, "CHECKOUT_FOLDER", tmp_path / "checkout")
    return tmp_path


def test_the_package_comes_before_the_checkout(folders):
    (folders / "checkout" / "default.eva").touch()
    assert find_artifact("default") == folders / "checkout" / "default.eva"
    (folders / "package" / "default.eva").touch()
    assert find_artifact("default") == folders / "package" / "default.eva"


def test_a_path_is_a_path(folders):
    path = folders / "mine.eva"
    path.touch()
    assert find_artifact(path) == find_artifact(str(path)) == path


def test_an_unknown_name_lists_what_ships(folders):
    (folders / "checkout" / "default.eva").touch()
    (folders / "checkout" / "golf.eva").touch()
    (folders / "checkout" / "FORMAT.md").touch()
    assert sorted(shipped_artifacts()) == ["default", "golf"]
    with pytest.raises(NotAnArtifact, match=r"'defualt'.*Did you mean 'default'\? Shipped: default, golf\."):
        find_artifact("defualt")


def test_an_installation_without_artifacts_says_so(folders):
    with pytest.raises(NotAnArtifact, match="Shipped: none"):
        find_artifact("default")

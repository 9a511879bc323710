import hashlib
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
import torch

from evaladapt.errors import EXIT_INPUT, ArtifactError, ModelError, PluginError
from evaladapt.model import families
from evaladapt.model.families import FileUsed, OpenedModel, find_family, open_model, open_tokenizer
from evaladapt.model.family import Opened, Placed
from evaladapt.system.entry_points import MODELS, Listing
from tests.tiny import tiny_model

CPU = torch.device("cpu")
PLACE = "tests.model.test_families"


class Folder:
    """A family that takes every folder."""

    summary, wants, tokenizer_is_ours = "folders", "a folder", True

    def claims(self, where):
        return where.endswith("/")

    def placed(self, where):
        raise AssertionError("a stranger's family was asked where the text is")

    def open(self, where, device):
        return Opened(tiny_model(vocabulary=2048), open_tokenizer("micro"), ())

    def open_tokenizer(self, where):
        raise AssertionError("a stranger's tokenizer was opened where the text is")


class Failing(Folder):
    """One that was not written for what it is given."""

    def claims(self, where):
        return False

    def open(self, where, device):
        raise KeyError("weights")


class Lacking:
    summary = wants = ""


def raises():
    raise RuntimeError("broken at heart")


@pytest.fixture
def also(monkeypatch):
    """Pretends that further families are installed: name, object, distribution."""
    ours = families.installed()

    def also(*others):
        more = [Listing(n, d, "1.0", EntryPoint(n, f"{PLACE}:{o}", MODELS)) for n, o, d in others]
        monkeypatch.setattr(families, "installed", lambda: [*ours, *more])

    return also


def test_a_name_a_path_and_a_prefixed_path_open_the_same(tiny_artifact):
    by_path, by_prefix = open_model(str(tiny_artifact), CPU), open_model(f"eva:{tiny_artifact}", CPU)
    assert by_path.identity == by_prefix.identity == hashlib.sha256(tiny_artifact.read_bytes()).hexdigest()
    assert by_path.bytes == tiny_artifact.stat().st_size
    assert by_path.family == by_prefix.family == "eva"
    assert by_path.backend.vocab_size == by_path.tokenizer.vocab_size
    assert open_tokenizer("micro").sha256 == open_model("micro", CPU).tokenizer.sha256


def test_an_artifact_of_another_name_is_known_by_its_first_bytes(tiny_artifact, tmp_path):
    copy = tmp_path / "model"
    copy.write_bytes(tiny_artifact.read_bytes())
    assert find_family(str(copy)).name == "eva"


def test_the_tokenizer_of_an_artifact_opens_without_torch(tiny_artifact):
    code = (
        "import sys; from evaladapt.model.families import open_tokenizer, tokenizer_is_ours;"
        f"assert tokenizer_is_ours({str(tiny_artifact)!r}); open_tokenizer({str(tiny_artifact)!r});"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_no_family_takes_is_told_with_what_each_would_need(tmp_path):
    with pytest.raises(ModelError, match="no such file or folder") as missing:
        find_family(str(tmp_path / "absent"))
    assert "eva: an artifact" in str(missing.value)
    (tmp_path / "there").write_bytes(b"something")
    with pytest.raises(ModelError, match="no model family takes it"):
        find_family(str(tmp_path / "there"))
    assert missing.value.exit_code == EXIT_INPUT


def test_a_missing_artifact_is_told_by_its_family():
    with pytest.raises(ArtifactError, match="Shipped: default, micro"):
        open_model("defalt.eva", CPU)


def test_a_mistyped_family_is_told_with_its_near_miss():
    with pytest.raises(ModelError, match="Did you mean 'eva'"):
        find_family("evva:x")


def test_a_strangers_family_opens_what_it_claims_and_what_is_given_to_it(also):
    also(("folders", "Folder", "other"))
    assert find_family("some/").name == "folders"
    opened = open_model("folders:x", CPU)
    assert (opened.family, opened.files, opened.bytes) == ("folders", (), 0)


def test_whatever_a_strangers_family_raises_is_told_with_its_name(also):
    also(("failing", "Failing", "other"))
    with pytest.raises(ModelError, match=r"family 'failing' failed with KeyError: 'weights'\. It wants a folder"):
        open_model("failing:x", CPU)


def test_ours_come_before_a_strangers(also):
    also(("folders", "Folder", "other"))
    assert find_family("x/.eva").name == "eva"


def test_no_stranger_is_imported_to_say_whose_the_tokenizer_is(also):
    also(("folders", "no_such_object", "other"))
    assert families.tokenizer_is_ours("micro")
    assert not families.tokenizer_is_ours("some/")
    assert not families.tokenizer_is_ours("folders:some/")
    with pytest.raises(ModelError, match="beside its model"):
        open_tokenizer("folders:some/")


def test_two_families_of_one_name_or_one_claim_are_refused(also):
    also(("eva", "Folder", "other"))
    with pytest.raises(ModelError, match=r"evaladapt .* and other 1\.0"):
        find_family("eva:x")
    also(("a", "Folder", "other"), ("b", "Folder", "other"))
    with pytest.raises(ModelError, match="Say which: a:some/ or b:some/"):
        find_family("some/")


def test_a_broken_family_is_told_with_its_distribution(also):
    also(("broken", "raises", "other"))
    with pytest.raises(PluginError, match=r"'broken' of other 1.0: .*raises failed with RuntimeError: broken at heart"):
        find_family("broken:x")
    also(("lacking", "Lacking", "other"))
    with pytest.raises(PluginError, match="lacks tokenizer_is_ours, claims, placed, open, open_tokenizer"):
        find_family("lacking:x")


def test_the_identity_of_several_files_is_that_of_their_list_and_moves_with_them():
    def opened(*files):
        return OpenedModel(tiny_model(), None, "x", "x", tuple(FileUsed(name, 1, sha) for name, sha in files))

    one = opened(("/a/m/config.json", "00"), ("/a/m/sub/weights", "11"))
    assert one.identity == hashlib.sha256(b"00  config.json\n11  sub/weights\n").hexdigest()
    assert one.identity == opened(("/b/sub/weights", "11"), ("/b/config.json", "00")).identity
    assert one.identity != opened(("/b/sub/weights", "00"), ("/b/config.json", "11")).identity
    assert one.bytes == 2


def test_a_reference_is_placed_for_a_process_in_another_folder(also, tiny_artifact, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_artifact.parent)
    for prefix in ("", "eva:"):
        place = families.placed(prefix + tiny_artifact.name)
        assert place == Placed(f"{prefix}{tiny_artifact.resolve()}", (tiny_artifact.resolve(),))
    assert families.placed("micro").reads[0].name == "micro.eva"
    also(("folders", "Folder", "other"))
    assert families.placed(f"folders:{tiny_artifact.name}").where == f"folders:{tiny_artifact.resolve()}"
    assert families.placed("absent/") == Placed("absent/", ())

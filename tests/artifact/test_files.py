"""Paths that hold no artifact."""

import gzip
import lzma
import os
import pickle
import zipfile

import pytest
from safetensors.numpy import save_file

from evaladapt.artifact import LimitExceeded, Limits, NotAnArtifact, open_artifact


@pytest.mark.parametrize("size", range(65))
def test_a_file_of_zeros_is_refused(tmp_path, size):
    path = tmp_path / "zeros.eva"
    path.write_bytes(bytes(size))
    with pytest.raises(Exception, match=r"zeros\.eva") as caught:
        open_artifact(path)
    assert caught.type.__module__ == "evaladapt.artifact.problems"


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
OTHERS = {
    "a git-LFS pointer": (LFS, "git lfs pull"),
    "gzip of an artifact": (None, "gunzip"),
    "xz of an artifact": (lzma.compress(b"x" * 100), "unxz"),
    "a pickle": (pickle.dumps({"weights": [1.0] * 20}, protocol=2), "never loads"),
    "GGUF": (b"GGUF\3\0\0\0" + bytes(100), "GGUF"),
    "zstandard": (b"(\xb5/\xfd" + bytes(100), "unzstd"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_of_files_are_recognised(tmp_path, golden, kind):
    content, words = OTHERS[kind]
    path = tmp_path / "model.eva"
    path.write_bytes(gzip.compress(golden) if content is None else content)
    with pytest.raises(NotAnArtifact, match=words):
        open_artifact(path)


def test_a_torch_checkpoint_is_recognised(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n")
    with pytest.raises(NotAnArtifact, match=r"torch\.save"):
        open_artifact(path)


def test_plain_safetensors_are_recognised(tmp_path, golden):
    from numpy import zeros

    path = tmp_path / "model.safetensors"
    save_file({"w": zeros(4, "float32")}, path)
    with pytest.raises(NotAnArtifact, match="evaladapt pack"):
        open_artifact(path)


def test_a_folder_is_no_artifact(tmp_path):
    with pytest.raises(NotAnArtifact, match="not a regular file"):
        open_artifact(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    pipe = tmp_path / "pipe.eva"
    os.mkfifo(pipe)
    with pytest.raises(NotAnArtifact, match="not a regular file"):
        open_artifact(pipe)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
def test_a_device_is_refused():
    with pytest.raises(NotAnArtifact, match="not a regular file"):
        open_artifact("/dev/zero")


def test_a_missing_file_and_a_dangling_link(tmp_path):
    link = tmp_path / "link.eva"
    link.symlink_to(tmp_path / "nowhere")
    for path in (link, tmp_path / "missing.eva", tmp_path / "a\0b"):
        with pytest.raises(NotAnArtifact, match="cannot be opened"):
            open_artifact(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path, golden):
    path = tmp_path / "secret.eva"
    path.write_bytes(golden)
    path.chmod(0)
    with pytest.raises(NotAnArtifact, match="Permission denied"):
        open_artifact(path)


def test_a_link_to_an_artifact_is_followed(tmp_path, golden):
    (tmp_path / "real.eva").write_bytes(golden)
    (tmp_path / "link.eva").symlink_to("real.eva")
    assert open_artifact(tmp_path / "link.eva").bytes == len(golden)


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "sparse.eva"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(LimitExceeded, match="limit is 1,073,741,824"):
        open_artifact(path)


def test_a_file_replaced_while_open_does_not_mix(tmp_path, golden):
    """The reader holds a copy, not a map of the file."""
    path = tmp_path / "model.eva"
    path.write_bytes(golden)
    file = open_artifact(path, Limits())
    path.write_bytes(b"\xff" * len(golden))
    assert file.stored["scale"].data == b"\x00\x34"

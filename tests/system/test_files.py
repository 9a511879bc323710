from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaladapt.errors import DataError
from evaladapt.system.files import FileTooLarge, read_regular, write_atomically


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "a.bin", [b"one", b"two"])
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"onetwo"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.bin"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, [b"old"])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_atomically(path, [b"new"])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.bin", interrupted())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="Cannot write"):
        write_atomically(tmp_path / "file" / "a.bin", [b"x"])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "real")
    write_atomically(tmp_path / "link", [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "real").read_bytes() == b"new"


def test_links_in_a_circle_are_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="Cannot write"):
        write_atomically(tmp_path / "a", [b"x"])


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", [b"one", b"two"])
    assert os.read(reader, 99) == b"onetwo"
    assert (tmp_path / "pipe").is_fifo()
    os.close(reader)


@pytest.mark.parametrize("name", ["x" * 255, "ж" * 127])
def test_the_longest_names_are_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, [b"x"])
    assert (tmp_path / name).read_bytes() == b"x"


def test_a_name_that_is_too_long_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="File name too long"):
        write_atomically(tmp_path / ("x" * 256), [b"x"])
    with pytest.raises(DataError, match="File name too long"):
        read_regular(tmp_path / ("x" * 256), 9)


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "mine", [b"x"])
    finally:
        os.umask(before)
    write_atomically(tmp_path / "ours", [b"x"])
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o666 & ~before


def test_files_whose_size_is_told_too_small_are_read_to_the_limit() -> None:
    assert b"Name" in read_regular("/proc/self/status", 1 << 16)
    with pytest.raises(FileTooLarge, match="limit is 10"):
        read_regular("/proc/self/status", 10)

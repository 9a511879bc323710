import os

import pytest

from evaladapt.errors import EvaladaptError, UsageError
from evaladapt.judge.records.folder import KEPT, run_folder
from tests.processes import in_child


def hold(folder, **how):
    return run_folder(folder, **{"new": False, "resume": False, "overwrite": False, **how})


def test_a_folder_is_made_and_let_go(tmp_path):
    with hold(tmp_path / "a" / "b") as place:
        assert place == tmp_path / "a" / "b"
    with hold(place):
        pass


@pytest.mark.parametrize("name", KEPT)
def test_a_used_folder_is_refused_and_stays_as_it_is(tmp_path, name):
    (tmp_path / name).write_text("an hour's work")
    with pytest.raises(UsageError, match=f"{name}.*--resume.*--overwrite"), hold(tmp_path):
        raise AssertionError
    assert (tmp_path / name).read_text() == "an hour's work"
    with hold(tmp_path, resume=True):
        assert (tmp_path / name).read_text() == "an hour's work"
    with hold(tmp_path, overwrite=True):
        assert not (tmp_path / name).exists()


def test_what_is_not_of_a_run_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with hold(tmp_path, overwrite=True):
        assert (tmp_path / "notes.txt").read_text() == "mine"


def test_two_at_once_are_refused_and_the_first_is_named(tmp_path):
    with hold(tmp_path):

        def second():
            with pytest.raises(EvaladaptError, match=str(os.getppid())), hold(tmp_path):
                raise AssertionError

        assert in_child(second) == 0


def test_who_was_killed_locks_nobody_out(tmp_path):
    def dies():
        with hold(tmp_path):
            os.kill(os.getpid(), 9)

    assert in_child(dies) == 9
    with hold(tmp_path):
        pass


def test_names_that_nobody_gave_are_made_anew(tmp_path):
    with hold(tmp_path / "run", new=True) as first, hold(tmp_path / "run", new=True) as second:
        assert first != second

import pytest
import torch
from evaladapt_elman.network import write_random

from evaladapt.errors import ModelError
from evaladapt.model.families import find_family, open_model
from evaladapt.testing import check_model


@pytest.fixture
def file(tmp_path):
    write_random(tmp_path / "random.elman")
    return str(tmp_path / "random.elman")


def test_it_can_be_relied_on_and_lacks_nothing(file):
    checked = check_model(file)
    assert checked.lacks == checked.notes == ()


def test_a_bare_path_is_its_own(file):
    assert find_family(file).name == "elman"


def test_a_file_that_is_none_is_told(tmp_path):
    (tmp_path / "no.elman").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"no\.elman"):
        open_model(str(tmp_path / "no.elman"), torch.device("cpu"))

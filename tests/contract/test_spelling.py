import pytest

from evaladapt.contract.spelling import spelled
from evaladapt.errors import UsageError


def test_options_belong_to_where_a_strategy_stands():
    found = spelled(" ttt[lr=0.004, epochs=2] , evaladapt:slot-lbfgs[warm-start=no],bias[]")
    assert found.names == ("ttt", "evaladapt:slot-lbfgs", "bias")
    assert found.options["ttt"] == {"lr": "0.004", "epochs": "2"}
    assert found.options["evaladapt:slot-lbfgs"] == {"warm_start": "no"}
    assert found.line == "ttt[lr=0.004,epochs=2],evaladapt:slot-lbfgs[warm_start=no],bias"
    assert spelled(found.line).line == found.line


def test_a_value_with_commas_is_quoted():
    found = spelled('lora-ttt[weights="mlp.*,attention.out",lr=0.001],bias')
    assert found.options["lora-ttt"] == {"weights": "mlp.*,attention.out", "lr": "0.001"}
    assert spelled(found.line) == found


def test_nothing_is_no_strategy():
    assert spelled("  ").names == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ttt,,bias", "empty name"),
        ("[lr=1]", "empty name"),
        ("ttt[lr=1", "does not close"),
        ("ttt[lr=[1]]", "bracket too many at character 8"),
        ("ttt]", "bracket too many"),
        ("ttt[lr=1]x", "a comma is due"),
        ("ttt[lr]", "'lr' is not of the form key=value"),
        ("ttt[=1]", "key=value"),
        ("ttt[lr=1,]", "'' is not of the form key=value"),
        ('ttt[weights="a,b]', "opens a quotation"),
    ],
)
def test_what_cannot_be_read_says_how_to_write_it(line, said):
    with pytest.raises(UsageError, match=said.replace("[", r"\[")):
        spelled(line)

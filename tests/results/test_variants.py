import pytest

from evaladapt.errors import UsageError
from evaladapt.results.variants import sweeps_of, variants


def test_a_sweep_is_of_the_compositions_that_have_the_strategy():
    found = variants(
        ["ttt[epochs=2]", "bias", "ttt,bias"],
        sweeps_of({"ttt.lr": [0.001, 0.002], "bias.ridge": [1]}),
        {"ttt": {"lr": "9", "chunk": "64"}, "sliding": {"stride": "8"}},
    )
    assert [one.label for one in found] == [
        "ttt[epochs=2,lr=0.001]", "ttt[epochs=2,lr=0.002]", "bias[ridge=1]",
        "ttt[lr=0.001],bias[ridge=1]", "ttt[lr=0.002],bias[ridge=1]",
    ]  # fmt: skip
    assert found[0].names == ("sliding", "ttt")
    assert found[0].options == {"ttt": {"lr": 0.001, "chunk": "64", "epochs": "2"}, "sliding": {"stride": "8"}}
    assert found[2].options == {"bias": {"ridge": 1}, "sliding": {"stride": "8"}}


def test_the_plan_is_put_first_once():
    (found,) = variants(["sliding[stride=8],ttt"], sweeps_of({"sliding.stride": [4]}))
    assert (found.names, found.label) == (("sliding", "ttt"), "sliding[stride=4],ttt")


@pytest.mark.parametrize(
    ("lines", "sweep", "said"),
    [
        (["ttt"], {"tt.lr": [1]}, "Did you mean 'ttt'"),
        (["ttt"], {"lr": [1]}, "alias.key"),
        (["ttt"], {"ttt.lr": []}, "alias.key"),
        (["ttt", "ttt"], {}, "there twice"),
        (["ttt[lr=1]", "ttt"], {"ttt.lr": ["1"]}, "there twice"),
        (["sliding"], {}, "leave it out"),
    ],
)
def test_what_cannot_be_compared_is_refused(lines, sweep, said):
    with pytest.raises(UsageError, match=said):
        variants(lines, sweeps_of(sweep))

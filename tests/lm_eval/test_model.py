"""lm-evaluation-harness asks, the judge answers: its own numbers on its own windows, and better ones by strategies."""

import json
import logging
import math

import pytest

lm_eval = pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
pytest.importorskip("transformers", reason="the extra hf is not installed")

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

from evaladapt.errors import DataError, UsageError  # noqa: E402
from evaladapt.lm_eval import EvaladaptLM  # noqa: E402

WINDOW = 32


@pytest.fixture(scope="module")
def own(folder_of):
    """The harness's own model class on a random Llama, one window of 32 tokens after the other."""
    folder, model = folder_of("llama")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<|end|>", eos_token="<|end|>", pad_token="<|end|>"
    )
    return HFLM(model, tokenizer=tokenizer, max_length=WINDOW, device="cpu", batch_size=2, add_bos_token=True)


@pytest.fixture(scope="module")
def ours(folder_of):
    def ours(plugins="", **more):
        options = {"sliding.context": WINDOW, "sliding.stride": WINDOW, "sliding.documents": "independent"}
        return EvaladaptLM(f"hf:{folder_of('llama')[0]}", plugins, inline=True, **options, **more)

    return ours


@pytest.fixture(scope="module")
def texts(own):
    """Of whole windows, and of less than one: where the harness's last window does not reach back."""

    def words(count):
        found = ""
        while len(own.tok_encode(found, add_special_tokens=False)) < count:
            found += " sat"
        return found

    texts = ["the cat" + words(3 * WINDOW - 2), words(WINDOW), "the dog and the dog"]
    sizes = [len(own.tok_encode(one, add_special_tokens=False)) for one in texts]
    assert sizes[:2] == [3 * WINDOW, WINDOW]
    assert sizes[2] < WINDOW
    return texts


def evaluated(model, texts, **more):
    """Bits per byte of a perplexity task on texts, by the harness, and what its result file says of the model."""
    split = Dataset.from_dict({"text": list(texts)})
    task = {
        "task": "local", "custom_dataset": lambda **_: {"test": split}, "test_split": "test",
        "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte", "higher_is_better": False}],
    }  # fmt: skip
    found = lm_eval.simple_evaluate(
        model, tasks=[task], task_manager=TaskManager(include_defaults=False), bootstrap_iters=0, **more
    )
    return found["results"]["local"]["bits_per_byte,none"], found["config"]


def asked(kind, *arguments):
    return [Instance(kind, {}, one, number) for number, one in enumerate(arguments)]


def test_the_harness_gets_its_own_number_on_its_own_windows_and_a_better_one_by_a_strategy(own, ours, texts):
    expected, _ = evaluated(own, texts)
    assert evaluated(ours(), texts)[0] == pytest.approx(expected, abs=1e-6)
    together = ours(state="stream").loglikelihood_rolling(asked("loglikelihood_rolling", *((one,) for one in texts)))
    size = sum(len(one.encode()) for one in texts)
    assert -sum(together) / math.log(2) / size == pytest.approx(expected, abs=1e-6)
    assert evaluated(ours("ngram"), texts)[0] < expected - 0.01


def test_continuations_cost_what_they_cost_the_harness_and_are_greedy_where_they_are(own, ours):
    pairs = [("the cat", " sat on the mat"), ("the dog ", "ran"), ("", "the end")]
    found = ours().loglikelihood(asked("loglikelihood", *pairs), disable_tqdm=True)
    encoded = [own._encode_pair(*one) for one in pairs[:2]] + [([], own.tok_encode("the end"))]
    expected = by_harness(own, encoded)
    assert [one[0] for one in found] == pytest.approx([one[0] for one in expected], abs=1e-4)
    context = own.tok_encode("the cat")
    read = torch.tensor([[own.prefix_token_id, *context]])
    written = own._model_generate(read, read.shape[1] + 9, stop=[])[0, read.shape[1] :].tolist()
    for continuation in (written, [*written[:-1], written[-1] - 1]):
        (found,) = ours()._loglikelihood_tokens([(("", ""), context, continuation)])
        (expected,) = by_harness(own, [(context, continuation)])
        assert found[0] == pytest.approx(expected[0], abs=1e-4)
        assert (found[1], expected[1]) == ((continuation == written),) * 2


def by_harness(own, encoded):
    """As the harness scores continuations where a BOS stands before their contexts."""
    pairs = [(("", ""), [own.prefix_token_id, *context], wanted) for context, wanted in encoded]
    return own._loglikelihood_tokens(pairs, disable_tqdm=True)


def test_a_sealed_run_says_its_verdict_and_its_bytes_in_the_result_file():
    texts = ["Grüße, über 数 und 🙂! " * 3, "A dog ran home."]
    arguments = "model=micro,plugins=bias+ngram,state=stream,mode=step,bias.half_life=64"
    number, config = evaluated("evaladapt", texts, model_args=arguments, device="cuda:0")
    told = json.loads(json.dumps(config))["evaladapt"]
    assert (told["verdict"], told["runs"], told["composition"]) == ("CAUSAL", 1, "sliding,bias,ngram")
    assert told["bytes"] == sum(len(one.encode()) for one in texts)
    assert told["bits_per_byte"] == pytest.approx(number, abs=1e-12)


def test_state_begins_anew_with_every_request_or_runs_on(ours):
    text = "the cat sat on the mat, and the dog sat on the cat"
    twice = asked("loglikelihood_rolling", (text,), (text,))
    anew, running = ours("ngram"), ours("ngram", state="stream")
    first, second = anew.loglikelihood_rolling(twice)
    assert first == second
    assert (len(anew.get_model_info()["evaladapt"]), anew.get_model_info()["evaladapt"]["runs"]) == (15, 2)
    first, second = running.loglikelihood_rolling(twice)
    assert second > first + math.log(2)
    assert running.get_model_info()["evaladapt"]["runs"] == 1


def test_nothing_costs_nothing(ours):
    assert ours().loglikelihood_rolling(asked("loglikelihood_rolling", ("",))) == [0.0]
    assert ours().get_model_info()["evaladapt"]["runs"] == 0


def test_what_is_unchecked_is_called_so(ours, caplog):
    with caplog.at_level(logging.WARNING):
        model = ours()
    assert "UNCHECKED" in caplog.text
    model.loglikelihood_rolling(asked("loglikelihood_rolling", ("the cat",)))
    assert model.get_model_info()["evaladapt"]["verdict"] == "UNCHECKED"


def test_what_cannot_be_done_is_refused():
    with pytest.raises(UsageError, match="'forever' is none of request, stream"):
        EvaladaptLM("micro", state="forever")
    model = EvaladaptLM("micro", inline=True)
    with pytest.raises(UsageError, match="generates none"):
        model.generate_until([])
    assert model.tokenizer_name.startswith("evaladapt-")


def test_a_text_that_its_tokenizer_would_change_is_refused(ours, monkeypatch):
    model = ours()
    monkeypatch.setattr(type(model._tokenizer), "decode_bytes", lambda self, ids: b"the ca")
    with pytest.raises(DataError, match="request 1: the tokenizer rewrites the text"):
        model.loglikelihood_rolling(asked("loglikelihood_rolling", ("the cat",)))

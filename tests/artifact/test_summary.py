from evaladapt.artifact import open_artifact
from evaladapt.artifact.summary import summarise, summary_text
from tests.artifact.golden_input import CONFIG, GOLDEN, METADATA, tensors


def test_the_parts_add_up_to_the_file():
    summary = summarise(open_artifact(GOLDEN))
    assert (
        sum(group.bytes for group in summary.groups) + summary.tokenizer_bytes + summary.header_bytes == summary.bytes
    )
    assert summary.bytes == GOLDEN.stat().st_size
    assert summary.values == sum(tensor.numel() for tensor in tensors().values())
    assert (summary.model, summary.metadata) == (CONFIG, METADATA)


def test_layers_are_grouped(tmp_path):
    names = [group.name for group in summarise(open_artifact(GOLDEN)).groups]
    assert names == ["blocks.*.down", "blocks.*.gain", "blocks.*.up", "embedding", "scale"]


def test_the_table_names_bytes_and_hash(golden):
    summary = summarise(open_artifact(GOLDEN))
    text = summary_text(summary)
    assert f"{len(golden):,}" in text
    assert summary.sha256 in text
    assert summary.to_json()["groups"][0]["bits_per_weight"] == summary.groups[0].bits_per_weight

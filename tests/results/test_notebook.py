"""All of it as one would do it in a notebook: a run, its rows, a module in memory, a comparison, a page."""

import evaladapt as ea


def test_from_a_model_to_a_page(tmp_path, monkeypatch):
    import torch

    from evaladapt.model.families import open_model

    opened = open_model("eva:micro", torch.device("cpu"))
    monkeypatch.chdir(tmp_path)
    documents = ["The cat sat on the mat, and the cat sat on the mat again. " * 4, "A dog ran home. " * 9]

    result = ea.run("micro", documents, plugins="bias,ngram", inline=True, folder="run")
    frame = result.documents().to_pandas()
    assert frame["gain"].gt(0).all()
    result.targets().save("targets.parquet")
    assert ea.open_run("run").bpb == result.bpb

    model = ea.wrap(opened.backend, opened.tokenizer)
    grid = ea.compare(model, {"one": documents, "two": documents[:1]}, ["bias", "bias,ngram"],
                      sweep={"ngram.max_order": [3, 4]}, seeds=[0, 1], folder="grid")  # fmt: skip
    print(grid.table())
    best = min(grid.rows, key=lambda row: row.bpb)
    assert best.rank == 1
    assert grid.difference("sliding", best.name).bpb < 0
    assert grid.to_pandas().groupby("composition")["bpb"].mean().idxmin() == best.composition
    grid.report("report.html")
    assert ea.open_comparison("grid").table(80) == grid.table(80)

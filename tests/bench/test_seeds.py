import json
from dataclasses import asdict, replace

import pytest

from evaladapt.bench import seeds
from evaladapt.bench.seeds import SeedSettings, built_in, run
from evaladapt.bench.seeds_report import Result
from evaladapt.cli.main import invoke
from evaladapt.contract import Capabilities, Stage, Window, hookimpl
from evaladapt.errors import UsageError
from evaladapt.judge import charging
from evaladapt.testing.compositions import composition_of
from tests.plugins.runs import KilledError

LEGAL_FORMS = {
    "replica-675": "slot-hidden",
    "replica-1128": "slot-hidden-stream",
    "replica-1318": "slot-lbfgs",
    "replica-1350": "slot-lbfgs",
    "replica-1372": "slot-cascade",
}
TARGETS, FEWER = 60, 40


@pytest.fixture(scope="module")
def settings(tiny_artifact, text_file, tmp_path_factory):
    """Of a measurement that was carried out by ``report``."""
    return SeedSettings(
        artifact=str(tiny_artifact),
        data=(text_file,),
        limit_tokens=TARGETS,
        replica_tokens=FEWER,
        compositions=(("bias", "hedge"), ("bias",)),
        folder=tmp_path_factory.mktemp("seeds"),
        inline=True,
    )


@pytest.fixture(scope="module")
def report(settings):
    return run(settings)


@pytest.fixture
def passes(monkeypatch):
    """Names of the compositions that are measured, the plan alone included."""
    made = []
    for name in ("evaluate", "score_base"):
        original = getattr(seeds, name)

        def counted(request, *arguments, original=original, **named):
            made.append(",".join(one.removeprefix("evaladapt:") for one in request.composed.names))
            return original(request, *arguments, **named)

        monkeypatch.setattr(seeds, name, counted)
    return made


def test_every_strategy_has_a_row_and_is_listed_once(report):
    legal = [one.alias for one in built_in() if not one.capabilities.peeks]
    assert [one.plugins for one in report.results] == [*legal, ",".join(seeds.BEST), "bias,hedge"]
    assert {one.plugins for one in report.claims} == set(LEGAL_FORMS)
    assert {one.verdict for one in report.results} == {"UNCHECKED"}


def test_a_claim_stands_beside_its_legal_form_on_the_same_targets(report):
    for claim in report.claims:
        assert (claim.verdict, claim.breaks) == ("NONCAUSAL", ("C1", "C3"))
        assert claim.legal.plugins == LEGAL_FORMS[claim.plugins]
        assert claim.legal.text.targets == FEWER
        assert claim.charged_bpb > claim.claimed_bpb
    assert {one.text.targets for one in report.results} == {TARGETS}


def test_figures_are_those_that_compare_prints(capsys, report, tiny_artifact, text_file):
    data = ["--data", str(text_file), "--limit-tokens", str(TARGETS)]
    assert (
        invoke(
            [
                "compare",
                str(tiny_artifact),
                "--plugins",
                "bias,hedge",
                *data,
                "--inline",
                "--boundaries",
                "charged",
                "--json",
            ]
        )
        == 0
    )
    _, record = json.loads(capsys.readouterr().out)["records"]
    found = next(one for one in report.results if one.plugins == "bias,hedge")
    assert found == Result.of(record)


def test_what_is_kept_is_not_measured_again(report, settings, passes):
    again = run(settings)
    assert passes == []
    assert again.to_json() == report.to_json()


def test_only_what_is_missing_is_measured(report, settings, passes):
    (folder,) = settings.folder.glob("sliding,tilt-*")
    (folder / "record.json").unlink()
    again = run(settings)
    assert passes == ["sliding", "sliding,tilt"]
    assert again.results == report.results


def test_a_record_of_another_text_does_not_count(report, settings, passes):
    run(replace(settings, limit_tokens=TARGETS - 1, replicas=False, compositions=()))
    assert "sliding,bias" in passes


def test_an_interrupted_pass_goes_on_from_its_snapshot(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(charging, "SNAPSHOT_SECONDS", 0.0)
    monkeypatch.setattr(seeds, "built_in", list)
    monkeypatch.setattr(seeds, "BEST", ("bias",))
    seen = []

    def progress(kill_at):
        def of_pass(name):
            def callback(done, total):
                seen.append(done)
                if name == "sliding,bias, adapted" and done >= kill_at:
                    raise KilledError

            return callback

        return of_pass

    once = replace(settings, compositions=(), replicas=False, folder=tmp_path, limit_tokens=None)
    whole = run(replace(once, folder=None))
    with pytest.raises(KilledError):
        run(once, progress(200))
    assert not list(tmp_path.glob("sliding,bias-*/record.json"))
    killed_at = seen[-1]
    seen.clear()
    assert run(once, progress(10**6)).results == whole.results
    assert min(seen) == killed_at  # its batch was charged, and its snapshot not yet written


def test_a_composition_under_another_plan_is_refused():
    class Other:
        contract_version = 1
        capabilities = Capabilities(stage=Stage.PLAN)

        def __init__(self, options):
            pass

        @hookimpl
        def plan(self, stream):
            return [Window(0, 1, stream.targets + 1)]

    with pytest.raises(UsageError, match=r"other plans by 'other'.*evaladapt run --plugins other"):
        seeds._refuse_other_plans([composition_of(Other)])


def test_the_command_prints_both_tables(capsys, report, settings):
    arguments = ["--artifact", settings.artifact, "--data", str(settings.data[0]), "--out", str(settings.folder)]
    arguments += ["--limit-tokens", str(TARGETS), "--replica-tokens", str(FEWER), "--plugins", "bias,hedge"]
    assert invoke(["bench", "seeds", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(report.claims) + 2 + 1 + len(report.results)
    assert sum(line.startswith(("text.txt[:40]: 40 targets", "text.txt[:60]: 60 targets")) for line in lines) == 2
    claim = next(one for one in report.claims if one.plugins == "replica-1372")
    (row,) = (row for row in rows if row.startswith("| `replica-1372`"))
    assert f"{claim.claimed_bpb:.4f} | NONCAUSAL | C1, C3 | {claim.charged_bpb:.4f} | `slot-cascade`" in row
    assert invoke(["bench", "seeds", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"] == json.loads(
        json.dumps([asdict(one) for one in report.claims])
    )

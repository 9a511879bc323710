"""``evaladapt audit``: where a composition leaks, on the toy and on an artifact, and what it brought along."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaladapt.cli.options import (
    Chosen,
    TextOptions,
    build_request,
    read_config,
    split_assignment,
    split_names,
    text_options,
)
from evaladapt.errors import EXIT_CONTRACT, EXIT_OK, PluginError, UsageError
from evaladapt.system.files import write_text_atomically

if TYPE_CHECKING:
    from evaladapt.audit.bench import Probe
    from evaladapt.audit.finding import Finding
    from evaladapt.audit.subject import Subject

SLICE = 2048
ECHO = "ECHO"
BACKENDS = ("toy", "artifact")


@click.command(
    epilog="Examples:  evaladapt audit --plugins ttt --toy-option ttt.chunk=64    |    "
    "evaladapt audit model.eva --plugins slot-lbfgs --limit-tokens 8000 --probes flip,step,echo"
)
@click.argument("artifact", default="default")
@click.option("--plugins", "names", default="", metavar="A,B,…", help="Strategies, as for run.")
@text_options
@click.option("--on", type=click.Choice([*BACKENDS, "both"]), default="both", show_default=True,
              help="What the strategies run on; the toy needs no artifact.")  # fmt: skip
@click.option("--toy-option", "toy_assignments", multiple=True, metavar="ALIAS.KEY=VALUE",
              help="Option of a strategy on the toy, where texts are short.")  # fmt: skip
@click.option("--probes", "probe_names", default="", metavar="A,B,…", help="Only these probes.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the findings as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
def audit(
    artifact: str,
    names: str,
    on: str,
    toy_assignments: tuple[str, ...],
    probe_names: str,
    out: Path | None,
    as_json: bool,
    **text: Any,
) -> int:
    """Run every probe on the strategies of --plugins: on the toy, and on the first targets of a text with ARTIFACT.

    Probes run in this process and say where a leak is; that nothing leaks is what run proves. ECHO runs a sealed player
    on a text that was replaced. 2,048 targets are looked at unless --limit-tokens says otherwise. Exit code 3 means
    that a clause of the contract is broken; the finding names what was changed, what moved, and how to see it again.
    """
    from evaladapt.audit.full import probes_named

    wanted = [name.upper() for name in split_names(probe_names)]
    probes = probes_named([name for name in wanted if name != ECHO], more=(ECHO,)) if wanted != [ECHO] else ()
    given = TextOptions(**text)
    given = replace(given, limit_tokens=given.limit_tokens or SLICE)
    chosen = read_config(given.config, names, given.assignments)
    command = _command(artifact, chosen, given, toy_assignments)
    findings: list[Finding] = []
    for backend in (BACKENDS if on == "both" else (on,)) if probes else ():
        subject = (
            _toy(chosen, toy_assignments, given, command) if backend == "toy"
            else _on_artifact(artifact, chosen, given, command)
        )  # fmt: skip
        findings += _run(subject, probes, given.seed, must_run=on != "both" or backend == "artifact")
    if on != "toy" and (not wanted or ECHO in wanted):
        findings.append(_echo(artifact, chosen, given, command("artifact", ECHO, given.seed)))
    return _show(findings, out, as_json)


def _echo(artifact: str, chosen: Chosen, given: TextOptions, again: str) -> Finding:
    from evaladapt.audit.echo import echo

    click.echo("artifact: ECHO, in a sealed player", err=True)
    return echo(build_request(artifact, chosen, given), seed=given.seed, again=again)


def _toy(chosen: Chosen, assignments: Sequence[str], given: TextOptions, command: Callable[..., str]) -> Subject:
    from evaladapt.audit.toy_subject import toy_subject
    from evaladapt.contract.registry import load

    overrides: dict[str, dict[str, object]] = {}
    for text in assignments:
        alias, key, value = split_assignment(text)
        overrides.setdefault(alias, {})[key.replace("-", "_")] = value
    return toy_subject(
        [load(name) for name in chosen.names],
        chosen.options,
        overrides=overrides,
        seed=given.seed,
        allow_noncausal=given.allow_noncausal,
        reproduce=lambda probe, seed: command("toy", probe, seed),
    )


def _on_artifact(artifact: str, chosen: Chosen, given: TextOptions, command: Callable[..., str]) -> Subject:
    from evaladapt.audit.subject import Subject
    from evaladapt.engine.player.setup import Setup

    request = build_request(artifact, chosen, given)
    setup = Setup.of(json.loads(request.recipe(base=False).to_json()))
    return Subject(
        model=setup.opened.backend,
        stream=request.open_text(setup.opened.tokenizer),
        composition=setup.composition,
        settings=setup.settings,
        vocabulary=setup.vocabulary,
        reproduce=lambda probe, seed: command("artifact", probe, seed),
    )


def _run(subject: Subject, probes: Sequence[Probe], seed: int, *, must_run: bool) -> list[Finding]:
    """All findings; that a strategy cannot run on the toy is one of them, where the artifact is looked at too."""
    from evaladapt.audit.bench import Bench
    from evaladapt.audit.full import audit as run_probes

    def announce(name: str, number: int, count: int) -> None:
        click.echo(f"{subject.backend}: {name} ({number} of {count})", err=True)

    bench = Bench(subject, seed=seed)
    try:
        return run_probes(bench, probes, announce)
    except (UsageError, PluginError) as error:
        if must_run:
            raise
        return [bench.not_covered("C1", "KRAFT", f"the composition cannot run on the toy: {error}")]


def _command(artifact: str, chosen: Chosen, given: TextOptions, toy: Sequence[str]) -> Callable[..., str]:
    """Makes the command that runs one probe on one backend again."""
    words = ["evaladapt", "audit", artifact]
    words += ["--plugins", ",".join(chosen.names)] if chosen.names else []
    options = [f"{alias}.{key}={value}" for alias, table in chosen.options.items() for key, value in table.items()]
    words += [word for text in options for word in ("-o", text)]
    words += [word for path in given.paths for word in ("--data", str(path))]
    words += ["--limit-tokens", str(given.limit_tokens), "--batch", str(given.batch)]
    words += ["--allow-noncausal"] if given.allow_noncausal else []

    def command(backend: str, probe: str, seed: int) -> str:
        for_toy = [word for text in toy for word in ("--toy-option", text)] if backend == "toy" else []
        return shlex.join([*words, *for_toy, "--seed", str(seed), "--on", backend, "--probes", probe.lower()])

    return command


def _show(findings: Sequence[Finding], out: Path | None, as_json: bool) -> int:
    from evaladapt.audit.finding import failures, findings_table

    content = {"verdict": "VIOLATED" if failures(findings) else "PASSED",
               "findings": [one.to_json() for one in findings]}  # fmt: skip
    if out:
        write_text_atomically(out, json.dumps(content, indent=2) + "\n")
    click.echo(json.dumps(content) if as_json else findings_table(findings))
    return EXIT_CONTRACT if failures(findings) else EXIT_OK

"""``evaladapt report``: the compliance section of a run, written from its records and audits."""

from __future__ import annotations

import json
from pathlib import Path

import click

from evaladapt.errors import EXIT_CONTRACT, EXIT_OK, UsageError
from evaladapt.system.files import write_text_atomically


@click.command(
    epilog="Examples:  evaladapt report runs/*/record.json    |    "
    "evaladapt report runs/grid --html report.html    |    "
    "evaladapt audit --plugins ttt --out audit.json; evaladapt report runs/NAME/record.json --audit audit.json    |    "
    "evaladapt report runs/seed0 runs/seed1 --pack sent; evaladapt report --check sent"
)
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECORD…")
@click.option("--audit", "audits", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="Findings that evaladapt audit --out wrote.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for report.md and report.json.  [default: print the Markdown]")  # fmt: skip
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write one page of tables and figures instead, about runs or a comparison.")  # fmt: skip
@click.option("--check", is_flag=True,
              help="Hold folders that somebody sent against themselves, without running anything; exit code 3 where"
              " something does not hold.")  # fmt: skip
@click.option("--pack", "packed", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write what one sends of runs that differ in their seed: figures, table, logs, runs.")  # fmt: skip
@click.option("--unquantised", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="RUN",
              help="With --pack: a run of the model before it was quantised, under the plan alone.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def report(
    records: tuple[Path, ...],
    audits: tuple[Path, ...],
    out: Path | None,
    html: Path | None,
    check: bool,
    packed: Path | None,
    unquantised: Path | None,
    as_json: bool,
) -> int:
    """Write the compliance section of one run, or of several runs that differ in their seed.

    A RECORD is the record.json of a run, or the run's folder. With --html it is one page about the runs, which may be
    of different compositions, or about a comparison (the folder that evaladapt compare wrote).
    """
    if unquantised and not packed:
        raise UsageError("--unquantised goes with --pack FOLDER")
    if packed is not None:
        if audits or out or html or check or as_json:
            raise UsageError("--pack writes a folder of its own; leave out --audit, --out, --html, --check and --json")
        return _pack(records, packed, unquantised)
    if html is not None:
        if audits or out or check or as_json:
            raise UsageError("--html writes a page of its own; leave out --audit, --out, --check and --json")
        _write_page(records, html)
        return EXIT_OK
    if check:
        return _check(records, as_json)

    from evaladapt.audit.compliance import read_findings, read_records, report_on
    from evaladapt.audit.compliance_markdown import markdown

    paths = [path / "record.json" if path.is_dir() else path for path in records]
    findings = [one for path in audits for one in read_findings(path)]
    written = report_on(read_records(paths), findings)
    as_markdown, as_object = markdown(written), json.dumps(written.to_json(), indent=2)
    if out is not None:
        write_text_atomically(out / "report.md", as_markdown)
        write_text_atomically(out / "report.json", as_object + "\n")
        click.echo(f"{out / 'report.md'} and {out / 'report.json'}: verdict {written.verdict}")
    else:
        click.echo(as_object if as_json else as_markdown)
    return EXIT_OK


def _write_page(folders: tuple[Path, ...], path: Path) -> None:
    from evaladapt.results.report.page import write_report
    from evaladapt.results.report.subject import subject_in
    from evaladapt.system.text import safe

    write_report(subject_in(folders), path)
    click.echo(safe(f"{path}: {path.stat().st_size:,} bytes"))


def _pack(folders: tuple[Path, ...], out: Path, unquantised: Path | None) -> int:
    from evaladapt.results.packing import pack
    from evaladapt.system.text import safe

    submission = pack(folders, out, unquantised)
    click.echo(submission.table())
    click.echo(safe(f"{out}: {submission.sizes()} What is new in it is yours to write; then: evaladapt report --check"
                    f" {out}", 1000))  # fmt: skip
    return EXIT_OK


def _check(folders: tuple[Path, ...], as_json: bool) -> int:
    from dataclasses import asdict

    from evaladapt.codec.verify import FAIL
    from evaladapt.results.checking import check_folder, check_together
    from evaladapt.results.packing import NAME, check_submission
    from evaladapt.system.text import safe

    packed = [folder for folder in folders if (folder / NAME).exists()]
    checks = [(f"{folder}/{where}", each) for folder in packed for where, each in check_submission(folder)]
    found = [check_folder(folder) for folder in folders if folder not in packed]
    checks += [(str(one.folder), each) for one in found for each in one.checks]
    checks += [("together", check_together(found))] if len(found) > 1 else []
    if as_json:
        click.echo(json.dumps([{"folder": folder, **asdict(one)} for folder, one in checks]))
    else:
        for folder, one in checks:
            click.echo(safe(f"{folder}  {one.name:9} {one.outcome}: {one.evidence}", 1000))
    return EXIT_CONTRACT if any(one.outcome == FAIL for _, one in checks) else EXIT_OK

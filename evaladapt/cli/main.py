"""The entry point: the group of commands, and one place where errors become messages and exit codes.

Commands import what is heavy inside their functions, so that ``evaladapt --help`` starts without torch.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import click

import evaladapt
from evaladapt.cli.artifact import artifact
from evaladapt.cli.audit import audit
from evaladapt.cli.bench import bench
from evaladapt.cli.compare import compare
from evaladapt.cli.data import data
from evaladapt.cli.decode import decode
from evaladapt.cli.encode import encode
from evaladapt.cli.models import models
from evaladapt.cli.pack import pack
from evaladapt.cli.plugins import plugins
from evaladapt.cli.processes import count, rank, refuse_repetition, speaks
from evaladapt.cli.report import report
from evaladapt.cli.run import run
from evaladapt.cli.show import show
from evaladapt.cli.train import train
from evaladapt.cli.verify import verify
from evaladapt.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, EvaladaptError
from evaladapt.system.text import safe_lines


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(evaladapt.__version__, prog_name="evaladapt")
@click.pass_context
def cli(context: click.Context) -> None:
    """Adapt a frozen language model while it is evaluated, and prove that the score is one."""
    refuse_repetition(context.invoked_subcommand)


for command in (
    run,
    show,
    audit,
    report,
    compare,
    plugins,
    models,
    artifact,
    pack,
    train,
    data,
    bench,
    encode,
    decode,
    verify,
):
    cli.add_command(command)


def main() -> None:
    """Run a command and exit with its code; EVALADAPT_TRACEBACK=1 shows where an error came from."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        result = cli.main(args=arguments, prog_name="evaladapt", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except EvaladaptError as error:
        if os.environ.get("EVALADAPT_TRACEBACK") == "1":
            traceback.print_exc()
        if not speaks(error):
            return error.exit_code
        return _fail(arguments, type(error).__name__, str(error), error.exit_code)
    except click.ClickException as error:
        return _fail(arguments, "UsageError", error.format_message(), EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _fail(arguments, "Interrupted", "interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone; point stdout at nothing so that the interpreter's last flush is silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _fail(arguments: list[str], kind: str, message: str, code: int) -> int:
    message = safe_lines(message)
    if rank() > 0:
        click.echo(f"process {rank()} of {count()}: error: {message}", err=True)
    elif "--json" in arguments:
        click.echo(json.dumps({"error": {"type": kind, "message": message, "exit_code": code}}))
    else:
        click.echo(f"error: {message}", err=True)
    return code

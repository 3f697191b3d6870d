"""The program: every command, and how it ends."""

import logging
import sys
import traceback
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Final

import typer

from syncd import __version__
from syncd.cli.common import ConfigOption, config_before_command
from syncd.errors import SyncdError
from syncd.logs import with_priority
from syncd.onefile import Interrupted

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: The modules that add commands, in the order in which --help lists them, and which ones each adds.
COMMANDS: Final = {
    "beginning": {"demo", "init", "simulate"},
    "examining": {"doctor"},
    "planning": {"plan"},
    "running": {"sync", "run"},
    "asking": {"resync"},
    "settling": {"approve", "reject", "retry"},
    "correcting": {"rekey", "restore"},
    "linking": {"link", "unlink"},
    "checking": {"verify"},
    "looking": {"status", "held", "accounts"},
    "auditing": {"history", "report"},
    "explaining": {"explain"},
    "handing_over": {"credentials"},
    "housekeeping": {"db"},
    "admitting": {"admin"},
    "notifying": {"notify"},
    "helping": {"help"},
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit


@app.callback()
def syncd(
    *,
    config: ConfigOption = None,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep a training provider's OneFile accounts in step with its MIS.

    New here? [bold]syncd demo[/bold] shows the whole story on this machine in a minute, and
    [bold]syncd init[/bold] writes a configuration to start from.
    """
    config_before_command.set(config)


def main() -> None:
    """Run a command, and end the process with the exit code that the contract gives it."""
    # Who asks for one command does not wait for the others to load.
    named = [module for module, commands in COMMANDS.items() if not commands.isdisjoint(sys.argv[1:])]
    for module in named or COMMANDS:
        import_module(f"syncd.cli.{module}")
    _unwrap_help(app)
    try:
        app()
    except SyncdError as problem:
        _end(str(problem), problem.exit_code)
    except (Interrupted, KeyboardInterrupt):
        _end("Stopped before it was done; nothing is lost, and the next run goes on from here.", 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as problem:  # noqa: BLE001 - a traceback is a defect, and may hold personal values
        place = traceback.extract_tb(problem.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        _end(f"syncd met something it does not know: {type(problem).__name__} at {where}. Please report this.", 1)


def _unwrap_help(commands: typer.Typer) -> None:
    """Have lines of --help end where the terminal does, and not where the source's do; lists stay as they are."""
    for command in commands.registered_commands:
        command.help = "\n\n".join(
            paragraph if "\n  " in paragraph else paragraph.replace("\n", " ")
            for paragraph in (getdoc(command.callback) or "").split("\n\n")
        )
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _unwrap_help(group.typer_instance)


def _end(sentence: str, code: int) -> None:
    typer.echo(with_priority(sentence, logging.ERROR), err=True)
    sys.exit(code)

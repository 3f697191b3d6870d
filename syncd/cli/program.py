"""The program: its commands, their --help, and the exit code."""

import logging
import sys
import traceback
from collections.abc import Collection
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from syncd import __version__
from syncd.cli.commands import COMMANDS
from syncd.cli.config_option import ConfigOption, config_before_command
from syncd.cli.examples import EXAMPLES
from syncd.cli.output.streams import printable_streams
from syncd.errors import Interrupted, SyncdError, thread_problem
from syncd.journal import with_priority

#: The commands that do nothing but print. The exit code of any other says what it did.
_PRINTING: Final = frozenset(
    {"doctor", "plan", "status", "runs", "held", "accounts", "history", "report", "explain", "help", "admin"}
)

_command: Final[ContextVar[str]] = ContextVar("command", default="")


#: The names of values in --help, by typer's name of the type; a flag has none.
_VALUE_NAMES: Final = {
    "bool": "",
    "path": "FILE",
    "file": "FILE",
    "str": "TEXT",
    "int": "N",
    "int range": "N",
    "float": "N",
    "float range": "N",
}


class Commands(TyperGroup):
    """The commands: --help and completion list them all, and only the one that is called is imported."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        imported: dict[str, Any] = {**self.commands}
        self._not_imported = COMMANDS.keys() - imported
        for name, listed in COMMANDS.items():
            command = imported.setdefault(name, TyperCommand(name, help=listed.summary))
            command.rich_help_panel = listed.panel
        self.commands = {name: imported[name] for name in COMMANDS}

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the --help of the program."""
        _name_values(self, ctx)
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is called, and return its name, itself and its arguments. Raises `UsageError`."""
        name = args[0]
        if name in self._not_imported:
            self.import_commands([name])
        if name in COMMANDS:
            _complete_help(self.commands[name], name)
            _name_values(self.commands[name], ctx)
        return super().resolve_command(ctx, args)

    def import_commands(self, names: Collection[str]) -> None:
        """Import these commands, which until then are only listed."""
        for name in names:
            import_module(f"syncd.cli.{COMMANDS[name].module}")
        imported: Any = typer.main.get_command(app)
        for name in names:
            self.commands[name] = imported.commands[name]
        self._not_imported -= set(names)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit


@app.callback()
def syncd(
    ctx: typer.Context,
    *,
    config: ConfigOption = None,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep a training provider's OneFile accounts in sync with its MIS.

    New here? [bold]syncd demo[/bold] shows the whole story on this machine in a minute, and
    [bold]syncd init[/bold] writes a first configuration.
    """
    config_before_command.set(config)
    _command.set(ctx.invoked_subcommand or "")


@cache
def program() -> Any:
    """The program, which is made once in a process."""
    return typer.main.get_command(app)


def main() -> None:
    """Run a command, and exit with the code that the contract states."""
    with printable_streams():
        _run()


def _run() -> None:
    try:
        program()()
    except SyncdError as problem:
        _end(str(problem), problem.exit_code)
    except (Interrupted, KeyboardInterrupt):
        _end("Stopped before the end. Nothing is lost: the next run continues from here.", 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as problem:  # noqa: BLE001 - a traceback is a defect, and may hold personal values
        if threads := thread_problem(problem):
            _end(str(threads), threads.exit_code)
        place = traceback.extract_tb(problem.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        _end(f"Unexpected error in syncd: {type(problem).__name__} at {where}. Please report this.", 1)


def end_without_output(complaint: str, code: str | int | None) -> None:
    """End a command that has ended with this code, and whose output is incomplete; the complaint says why."""
    if _command.get() in _PRINTING:
        _end(f"{complaint} The output is incomplete.", int(code or 1))
    _end(
        f"{complaint} What 'syncd {_command.get()}' does is done all the same; the exit code says how.", int(code or 0)
    )


def _complete_help(command: Any, name: str) -> None:
    """Wrap paragraphs of --help at the terminal's width, not the source's, and end it with an example."""
    for below, each in getattr(command, "commands", {}).items():
        _complete_help(each, f"{name} {below}")
    if name in EXAMPLES:
        command.help = "\n\n".join(
            paragraph if "\n  " in paragraph else paragraph.replace("\n", " ")
            for paragraph in (getdoc(command.callback) or "").split("\n\n")
        )
        command.epilog = f"Example: [bold]{EXAMPLES[name]}[/bold]"


def _name_values(command: Any, ctx: Any) -> None:
    """Show in --help what an option takes (FILE, N), not its Python type."""
    for each in getattr(command, "commands", {}).values():
        _name_values(each, ctx)
    for parameter in command.get_params(ctx):
        label = parameter.display_type(ctx).strip("<>")
        label = _VALUE_NAMES.get(label, label) if parameter.param_type_name == "option" else ""
        parameter.display_type = lambda _ctx, label=label: label


def _end(sentence: str, code: int) -> None:
    typer.echo(with_priority(sentence, logging.ERROR), err=True)
    sys.exit(code)

"""The command line as the documentation needs it: every command by its words, with its options."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import typer.main

from syncd.cli.commands import COMMANDS
from syncd.cli.program import app


@cache
def program() -> Any:
    """The whole program, with every command loaded."""
    for listed in COMMANDS.values():
        import_module(f"syncd.cli.{listed.module}")
    return typer.main.get_command(app)


def every_command() -> Iterator[tuple[str, Any]]:
    """Each command by its words, such as ``db upgrade``, in the order of ``--help``."""
    for name in COMMANDS:
        command = program().commands[name]
        for below, each in getattr(command, "commands", {"": command}).items():
            yield f"{name} {below}".strip(), each


def options_of(command: Any) -> set[str]:
    """Every spelling of its options."""
    return {spelling for each in command.params for spelling in each.opts if spelling.startswith("-")} | {
        "--help",
        "-h",
    }

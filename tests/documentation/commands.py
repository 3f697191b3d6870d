"""The commands as Markdown."""

import re
from collections.abc import Iterator
from enum import Enum
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

from syncd.cli.commands import COMMANDS
from syncd.cli.examples import EXAMPLES

from .program import every_command

_EVERYWHERE: Final = {"config", "help"}
_STANDS_FOR: Final = {int: "N", float: "N", Path: "FILE"}


def commands() -> Iterator[str]:
    """A section for each group of ``--help``, a heading for each command."""
    panels: dict[str, list[tuple[str, Any]]] = {}
    for name, command in every_command():
        panels.setdefault(_panel_of(name), []).append((name, command))
    for title, listed in panels.items():
        yield f"## {title}"
        for name, command in listed:
            yield from _described(name, command)


def _panel_of(name: str) -> str:
    return COMMANDS[name.split(maxsplit=1)[0]].panel


def _described(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name not in _EVERYWHERE]
    yield f"### syncd {name}"
    yield from _paragraphs(cleandoc(command.help))
    usage = " ".join([f"syncd {name}", *(["[OPTIONS]"] if options else []), *map(_argument, arguments)])
    yield f"```sh\n{usage}\n{EXAMPLES[name]}\n```" if usage != EXAMPLES[name] else f"```sh\n{usage}\n```"
    if arguments or options:
        rows = [f"| `{_argument(each)}` | {_said(each)} |" for each in arguments]
        rows += [f"| `{_option(each)}` | {_said(each)} |" for each in options]
        yield "\n".join(["| argument or option | meaning |", "|---|---|", *rows])


def _paragraphs(text: str) -> Iterator[str]:
    """What is indented stays as it is."""
    for paragraph in text.split("\n\n"):
        yield f"```text\n{paragraph}\n```" if re.search(r"(?m)^  |^\w+: ", paragraph) else " ".join(paragraph.split())


def _argument(argument: Any) -> str:
    shown = argument.metavar or argument.name.upper()
    shown = f"{shown}…" if argument.nargs != 1 or _many(argument) else shown
    return shown if argument.required else f"[{shown}]"


def _option(option: Any) -> str:
    names = ", ".join(option.opts)
    return names if option.is_flag else f"{names} {option.metavar or _placeholder(option)}".replace("|", r"\|")


def _placeholder(option: Any) -> str:
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(each.value) for each in kind)
    return _STANDS_FOR.get(kind, "TEXT")


def _many(param: Any) -> bool:
    return "list" in str(param.type_descriptor.annotation)


def _said(param: Any) -> str:
    said = str(param.help).replace("|", r"\|")
    default = param.default.value if isinstance(param.default, Enum) else param.default
    is_told = param.param_type_name == "option" and not param.is_flag and param.show_default is True
    return f"{said} Default: `{default}`." if is_told and default not in {None, ""} else said

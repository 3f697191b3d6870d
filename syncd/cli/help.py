"""help: what each reason and each kind of error means, and what to do; how syncd is built; any command."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markdown import Markdown

import syncd
from syncd.cli.output.text import print_item, width
from syncd.cli.program import COMMANDS, app
from syncd.errors import SyncdError
from syncd.sync.reasons import HELD, LEFT_OUT, describe

_ARCHITECTURE: Final = "architecture"

_HELD: Final = "Why a record is held, so that nothing of it is sent: 'syncd held' lists who"
_LEFT_OUT: Final = "Why a value is left out of a record that is sent: 'syncd held --warnings' lists them"
_ERRORS: Final = "Errors, whose message says where and what; the command ends with exit code 1"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a person may meet, what it means, and what to do about it."""

    group: str
    name: str
    meaning: str
    remedy: str


def entries() -> Iterator[Entry]:
    """Every reason and every kind of error that there is: the code's own list of them, in its own words."""
    for group, advised in ((_HELD, HELD), (_LEFT_OUT, LEFT_OUT)):
        for reason, advice in advised.items():
            yield Entry(group, describe(reason), advice.meaning, advice.remedy)
    for kind in _kinds_of(SyncdError):
        ending = "" if kind.exit_code == SyncdError.exit_code else f" The exit code is {kind.exit_code}."
        yield Entry(_ERRORS, kind.title, kind.meaning + ending, kind.remedy)


def _kinds_of(error: type[SyncdError]) -> Iterator[type[SyncdError]]:
    """The kinds of error that a person may meet: those that say what they are called."""
    if "title" in vars(error):
        yield error
    for kind in error.__subclasses__():
        yield from _kinds_of(kind)


@app.command("help", rich_help_panel="Looking")
def help_(
    context: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            help="A reason, an error, a command, or 'architecture'. Without one: every reason and error.",
        ),
    ] = None,
) -> None:
    """Say what a reason, a warning or an error means and what to do about it.

    'syncd help missing' is about one reason, 'syncd help' lists them all, 'syncd help sync' is about a command, and
    'syncd help architecture' shows those who would change syncd how it is built.
    """
    if not topic:
        _print_all()
        return
    wanted = _bare(" ".join(topic))
    if wanted == _ARCHITECTURE:
        _print_architecture()
        return
    found = [entry for entry in entries() if _bare(entry.name) == wanted]
    for entry in found:
        typer.echo(f"\n{typer.style(entry.group, underline=True)}")
        print_item(entry.name, entry.meaning, entry.remedy)
    if topic[0] in _commands():
        _print_command(context, topic)
    elif not found:
        raise typer.BadParameter(_nothing(" ".join(topic)), param_hint="TOPIC")


def _print_all() -> None:
    group = ""
    for entry in entries():
        if entry.group != group:
            group = entry.group
            typer.echo(f"\n{typer.style(group, underline=True)}")
        print_item(entry.name, entry.meaning, entry.remedy)
    typer.echo("\n'syncd COMMAND --help' tells of a command, and 'syncd help architecture' how syncd is built.")


def _print_architecture() -> None:
    text = (Path(syncd.__file__).parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    console = Console(width=width())
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        typer.echo(text)


def _print_command(context: typer.Context, words: list[str]) -> None:
    context.find_root().command.main([*words, "--help"], prog_name="syncd")


def _nothing(topic: str) -> str:
    names = {_bare(name): name for name in (*(entry.name for entry in entries()), *_commands(), _ARCHITECTURE)}
    wanted = _bare(topic)
    nearest = get_close_matches(wanted, names, n=1) or [bare for bare in names if wanted in bare or bare in wanted]
    if nearest:
        return f"there is no {topic!r} in it; did you mean {names[nearest[0]]!r}?"
    return f"there is no {topic!r} in it; 'syncd help' lists what there is"


def _commands() -> frozenset[str]:
    return frozenset(COMMANDS)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())

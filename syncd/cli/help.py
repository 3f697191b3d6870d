"""The command help: documentation pages, reasons, errors and commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markdown import Markdown

from syncd.cli.commands import COMMANDS
from syncd.cli.output.text import print_item, width
from syncd.cli.program import app
from syncd.documentation import Page, pages
from syncd.errors import SyncdError
from syncd.sync.reasons import HELD, LEFT_OUT, describe

_PAGES: Final = "Pages of the documentation: 'syncd help PAGE' prints one"
_HELD: Final = "Reasons why a record is held (not sent): 'syncd held' lists the records"
_LEFT_OUT: Final = "Reasons why a value is left out of a record that is sent: 'syncd held --warnings' lists them"
#: A link to another page; it cannot be followed on a terminal.
_LINK: Final = re.compile(r"\[([^]]+)\]\(([\w-]+)\.md[^)]*\)")
_ERRORS: Final = "Errors: the message says what is wrong and where; the exit code is 1 unless stated"


@dataclass(frozen=True, slots=True)
class Entry:
    """A reason or a kind of error, what it means, and what to do about it."""

    group: str
    name: str
    meaning: str
    remedy: str


def entries() -> Iterator[Entry]:
    """Return every reason and every kind of error, from the lists in the code."""
    for group, advised in ((_HELD, HELD), (_LEFT_OUT, LEFT_OUT)):
        for reason, advice in advised.items():
            yield Entry(group, describe(reason), advice.meaning, advice.remedy)
    for kind in _kinds_of(SyncdError):
        ending = "" if kind.exit_code == SyncdError.exit_code else f" The exit code is {kind.exit_code}."
        yield Entry(_ERRORS, kind.title, kind.meaning + ending, kind.remedy)


def _kinds_of(error: type[SyncdError]) -> Iterator[type[SyncdError]]:
    """Return the kinds of error that an operator can see: those with a title."""
    if "title" in vars(error):
        yield error
    for kind in error.__subclasses__():
        yield from _kinds_of(kind)


@app.command("help")
def help_(
    context: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            help="A page, a reason, an error or a command. Omit it to list them all.",
        ),
    ] = None,
) -> None:
    """Print a page of the documentation, or explain a reason, a warning or an error and what to do about it.

    'syncd help' lists the pages, reasons and errors; 'syncd help getting-started' prints a page, 'syncd help missing'
    explains a reason, 'syncd help sync' a command. The daemon serves the same pages under /docs.
    """
    if not topic:
        _print_all()
        return
    wanted = _bare(" ".join(topic))
    found = [entry for entry in entries() if _bare(entry.name) == wanted]
    for entry in found:
        typer.echo(f"\n{typer.style(entry.group, underline=True)}")
        print_item(entry.name, entry.meaning, entry.remedy)
    page = next((page for name, page in pages().items() if _bare(name) == wanted), None)
    if page:
        _print_page(page)
    if topic[0] in _commands():
        _print_command(context, topic)
    elif not found and not page:
        raise typer.BadParameter(_nothing(" ".join(topic)), param_hint="TOPIC")


def _print_all() -> None:
    typer.echo(f"\n{typer.style(_PAGES, underline=True)}\n")
    column = max(map(len, pages())) + 2
    for page in pages().values():
        typer.echo(f"  {page.name.ljust(column)}{page.summary}")
    group = ""
    for entry in entries():
        if entry.group != group:
            group = entry.group
            typer.echo(f"\n{typer.style(group, underline=True)}")
        print_item(entry.name, entry.meaning, entry.remedy)
    typer.echo("\n'syncd COMMAND --help' explains a command.")


def _print_page(page: Page) -> None:
    console = Console(width=width())
    if console.is_terminal:
        console.print(Markdown(_LINK.sub(r"\1 ('syncd help \2')", page.text)))
    else:
        typer.echo(page.text)


def _print_command(context: typer.Context, words: list[str]) -> None:
    context.find_root().command.main([*words, "--help"], prog_name="syncd")


def _nothing(topic: str) -> str:
    names = {_bare(name): name for name in (*(entry.name for entry in entries()), *_commands(), *pages())}
    wanted = _bare(topic)
    nearest = get_close_matches(wanted, names, n=1) or [bare for bare in names if wanted in bare or bare in wanted]
    if nearest:
        return f"there is no topic {topic!r}; did you mean {names[nearest[0]]!r}?"
    return f"there is no topic {topic!r}; 'syncd help' lists them"


def _commands() -> frozenset[str]:
    return frozenset(COMMANDS)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())

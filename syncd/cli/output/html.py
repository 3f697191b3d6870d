"""Tables under titles, on a terminal or as one self-contained HTML page."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import typer

from syncd.cli.output.text import print_item, print_table
from syncd.core.text import printable
from syncd.errors import ConfigurationError

_TEMPLATES: Final = Path(__file__).parent / "templates"

Cells: TypeAlias = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Section:
    """A table under its title."""

    title: str
    headings: Sequence[str]
    rows: Iterable[Cells]
    none: str = ""
    """The text if there are no rows."""
    said: str = ""
    """A remark about all rows."""
    notes: Sequence[tuple[str, str]] = ()
    """Remarks about some rows: which rows, and the text."""
    is_folded: bool = False
    """Whether a page shows its title only, until it is opened."""


def print_section(section: Section) -> None:
    """Write it to standard output."""
    typer.echo(f"\n{typer.style(section.title, bold=True)}")
    if section.said:
        typer.echo(section.said)
    print_table(section.headings, section.rows, section.none)
    for name, text in section.notes:
        print_item(name, text)


def write_page(
    file: Path, title: str, made: str, summary: Iterable[str], sections: Iterable[Section], *, to_sign: str = ""
) -> None:
    """Write a printable page that only its owner can read; ``to_sign`` is the statement to be signed.

    Nothing is overwritten. Raises `ConfigurationError`.
    """
    # Imported here, so that other commands do not wait for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value, keep="\n") if type(value) is str else value,
    )
    page = environment.get_template("page.html").stream(
        title=title, made=made, summary=summary, sections=sections, to_sign=to_sign
    )
    page.enable_buffering(100)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            page.dump(stream, encoding="utf-8")
    except FileExistsError:
        raise ConfigurationError(f"{file} already exists and is not overwritten. Name another file.") from None
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be written: {problem.strerror}.") from None


def refuse_existing(file: Path) -> None:
    """Check before the work is done that a page can be written. Raises `ConfigurationError`."""
    if file.exists():
        raise ConfigurationError(f"{file} already exists and is not overwritten. Name another file.")
    if not file.absolute().parent.is_dir():
        raise ConfigurationError(f"{file} cannot be written: its folder does not exist.")

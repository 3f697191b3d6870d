"""Results of runs, tables and paragraphs as text; names of fields, never values."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import fill
from typing import Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncd.core.guard import ChangeKind, Counts
from syncd.core.run import Action, RunState
from syncd.core.scope import EVERYONE, Scope
from syncd.core.text import plural, plurals, printable
from syncd.sync.run import RunResult

_SAMPLE: Final = 5
_WHAT_DEFAULTS: Final = {"ClassroomID": "classroom", "PlacementID": "placement", "DefaultAssessorID": "assessor"}
PAST: Final = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.LINK: "linked",
    Action.ARCHIVE: "archived",
    Action.UNARCHIVE: "unarchived",
    Action.REKEY: "given a new MISID",
    Action.ASSIGN: "assigned",
}


def print_done(done: RunResult, as_of: datetime, scope: Scope = EVERYONE) -> None:
    """Print the result of a run in a few lines.

    ``as_of`` is when the feeds were read at the earliest, and ``scope`` the records that were compared with the feeds.
    """
    if done.state is RunState.AWAITING_APPROVAL:
        did = f"sent {plural(done.sent, 'approved change')}" if done.sent else "sent nothing"
        typer.echo(f"Run {done.run} {did} and waits for approval: {'; '.join(done.objections)}.")
        held = f"; {done.held} records are held, see 'syncd held'" if done.held else ""
        if done.sent:
            typer.echo(f"{plural(done.waiting, 'change')} still wait{held}.")
            if done.queued:
                typer.echo(f"{done.queued} are queued, because OneFile refuses such changes: see 'syncd status'.")
        else:
            typer.echo(f"It would make {counts_in_words(done.counts)}{held}.")
        right = f"If that is right: look at 'syncd plan {done.run}', then run 'syncd approve'. If not: "
        typer.echo(
            right + ("'syncd reject'." if scope.is_empty else "correct the\nMIS or the feed's query, and run again.")
        )
        return
    sent = [f"{done.applied[action]} {past}" for action, past in PAST.items() if done.applied.get(action)]
    typer.echo(
        f"Run {done.run}: {', '.join(sent) or 'nothing to send'}; {done.unchanged} unchanged; {done.calls} calls."
    )
    trouble = (
        (done.refused, "refused by OneFile"),
        (done.in_doubt, "in doubt: the next run searches OneFile for them"),
        (done.held, "held: see 'syncd held'"),
        (done.queued, "queued, because OneFile refuses such changes: see 'syncd status'"),
        (done.waiting, "waiting for 'syncd approve' or 'syncd reject'"),
        (done.warnings, "values left out: see 'syncd held --warnings'"),
        (0 if scope.is_empty else done.left, "left the MIS: see 'syncd plan'"),
        (done.not_undone, f"not undone: the page of run {done.run} lists it"),
    )
    for count, what in trouble:
        if count:
            typer.echo(f"  {count} {what}")
    if done.is_in_sync and not scope.is_empty:
        records = "all records of the feeds" if scope.misids is None else ", ".join(sorted(scope.misids))
        typer.echo(f"In sync as of {as_of.astimezone():%d %b %Y %H:%M %Z}: {records}.")
        typer.echo("Not checked: changes made in OneFile itself; 'syncd verify' finds them.")


def counts_in_words(counts: Counts) -> str:
    """The changes of a plan, such as "2 creates and 1 leaver"."""
    return plurals({kind.noun: counts.of(kind) for kind in ChangeKind}, none="no changes")


def shortly(at: datetime | None) -> str:
    """A moment in this machine's local time."""
    return f"{at.astimezone():%d %b %Y %H:%M}" if at else ""


#: A pipe has no width; lines are not broken for it.
_PIPE_COLUMNS: Final = 1000


def width() -> int:
    """The width of a line: that of the terminal; in a pipe, lines are not wrapped."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_COLUMNS


def print_item(name: str, *paragraphs: str) -> None:
    """Print paragraphs under a heading."""
    typer.echo(f"\n{typer.style(printable(name), bold=True)}")
    for text in paragraphs:
        typer.echo(fill(printable(text), width(), initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print a table, or the sentence ``empty`` if it has no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        # Not a string: Rich would read "[…]" in it as markup.
        table.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    if table.row_count:
        Console(width=width()).print(table)
    else:
        typer.echo(empty)

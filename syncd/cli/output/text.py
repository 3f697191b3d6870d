"""Plans and runs as JSON and as text for people; of fields only the names, never a value."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import fill
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from syncd.core.guard import Counts
from syncd.core.run import Action, RunState
from syncd.core.text import plurals
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


def print_done(done: RunResult) -> None:
    """How a run ended, in a few lines."""
    if done.state is RunState.AWAITING_APPROVAL:
        typer.echo(f"Run {done.run} waits for approval and has sent nothing: {'; '.join(done.objections)}.")
        held = f"; {done.held} records are held, and 'syncd held' says why" if done.held else ""
        typer.echo(f"It would make {counts_in_words(done.counts)}{held}.")
        typer.echo("If that is right, see 'syncd plan' and then 'syncd approve'. If it is not, nothing has happened:")
        typer.echo("put the MIS or the query right and run again.")
        return
    sent = [f"{done.applied[action]} {past}" for action, past in PAST.items() if done.applied.get(action)]
    typer.echo(
        f"Run {done.run}: {', '.join(sent) or 'nothing to send'}; {done.unchanged} unchanged; {done.calls} calls."
    )
    trouble = (
        (done.refused, "refused by OneFile"),
        (done.in_doubt, "in doubt, to be settled by the next run"),
        (done.held, "held: 'syncd held' says why"),
        (done.warnings, "values left out: 'syncd held --warnings' says why"),
        (done.left, "gone from the MIS: 'syncd plan' says who, and what becomes of the account"),
    )
    for count, what in trouble:
        if count:
            typer.echo(f"  {count} {what}")
    if done.is_in_sync:
        typer.echo("Everybody is in step.")


def counts_in_words(counts: Counts) -> str:
    """The changes of a plan, such as "2 creates and 1 leaver"."""
    named = {"create": counts.creates, "update": counts.updates, "leaver": counts.leavers}
    return plurals(named, none="no changes")


def shortly(at: datetime | None) -> str:
    """A time for people, in this machine's zone."""
    return f"{at.astimezone():%d %b %Y %H:%M}" if at else ""


#: A pipe has no width; lines are not broken for it.
_PIPE_COLUMNS: Final = 1000


def width() -> int:
    """How many characters go into a line: as many as the terminal has, and in a pipe there is no end to them."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_COLUMNS


def print_item(name: str, *paragraphs: str) -> None:
    """Paragraphs under the name of what they are about."""
    typer.echo(f"\n{typer.style(name, bold=True)}")
    for text in paragraphs:
        typer.echo(fill(text, width(), initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, or the sentence for there being nothing to show."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if table.row_count:
        Console(width=width()).print(table)
    else:
        typer.echo(empty)

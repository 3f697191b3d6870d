"""The command undo: takes back what a run has sent."""

from collections.abc import Sequence
from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import exit_code, locked_organisation, open_run_context, progress_bar
from syncd.cli.options import ApproveOption, MisidOption, settings_of, whoami, whole_number
from syncd.cli.output.text import print_done, print_table
from syncd.cli.program import app
from syncd.core.scope import NOTHING
from syncd.core.undo import NotUndone
from syncd.state import undo as undos
from syncd.sync.run import undo_once
from syncd.wiring.clock import now


@app.command()
def undo(
    run: Annotated[int, typer.Argument(metavar="RUN", parser=whole_number, help="The number of the run to undo.")],
    *,
    misid: MisidOption = None,
    approve: ApproveOption = False,
    config: ConfigOption = None,
) -> None:
    """Take back what a run has sent, where OneFile still has it: it reads those accounts first.

    Fields get the values that they had before, archived accounts are unarchived, unarchived ones archived again, and
    created accounts archived, never deleted. With --misid only these records. It is a run of its own: the guard
    applies, 'syncd approve' permits a large one, which the next run then sends, and 'syncd undo' of its number makes
    the changes again. If it is cut short, the next run over everyone continues it.

    What cannot be taken back is listed: an e-mail, an assignment, a link, a new MISID, a value that OneFile has
    another of by now, one that was empty before and that onefile.clear does not let syncd clear, and one whose value
    before is no longer stored. Undone changes are not planned again until their records change: until then these are
    held as "rejected", and 'syncd retry MISID' plans them again as they are.

    Exit codes: 0 all of it is undone; 1 could not run, or there is nothing to undo; 3 waits for 'syncd approve'; 4
    done, but some of it was refused or could not be undone; 5 another run is in progress.
    """
    settings = settings_of(config)
    misids = frozenset(misid or ())
    with open_run_context(settings) as context:
        with context.reading_session() as session:
            organisation_id = undos.check(session, settings.onefile.all_organisations, run, misids)
        with locked_organisation(context, organisation_id) as here, progress_bar() as progress:
            done = undo_once(
                here, run, misids, approved_by=whoami() if approve else "", asked_by=whoami(), progress=progress
            )
        with context.reading_session() as session:
            left = undos.left(session, done.run)
    print_done(done, now(), NOTHING)
    print_left(left)
    raise typer.Exit(exit_code(done))


def print_left(left: Sequence[NotUndone]) -> None:
    """Print what an undo leaves alone, if there is anything."""
    if left:
        rows = [(one.key.role, one.key.misid, one.action, ", ".join(one.fields), one.obstacle) for one in left]
        print_table(("role", "misid", "action", "fields", "not undone, because"), rows, "")

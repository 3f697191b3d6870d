"""The commands approve and reject: an operator decides about a stopped run."""

from typing import Annotated, Final

import typer

from syncd.cli.options import ConfigOption, settings_of, whoami, whole_number
from syncd.cli.output import text
from syncd.cli.program import app
from syncd.core.run import Trigger
from syncd.state import approvals
from syncd.wiring.clock import now
from syncd.wiring.store import open_store

_NOW_DO: Final[dict[Trigger, str]] = {
    trigger: f"Now repeat the '{command}' that was stopped; nothing else uses this approval."
    for trigger, command in (
        (Trigger.LINK, "syncd link --apply"),
        (Trigger.REKEY, "syncd rekey"),
        (Trigger.RESTORE, "syncd restore"),
        (Trigger.VERIFY, "syncd verify --fix"),
    )
}


RunArgument = Annotated[
    int | None, typer.Argument(metavar="RUN", parser=whole_number, help="The run; the one that waits if left out.")
]


@app.command(rich_help_panel="Deciding")
def approve(run: RunArgument = None, *, config: ConfigOption = None) -> None:
    """Let a stopped run go: the next run may do as much as it planned, and no more, for 24 hours.

    'syncd plan' shows what that is. Ends with 1 when no run waits.
    """
    settings = settings_of(config)
    with open_store(settings).begin() as connection:
        organisation_id = approvals.organisation_of(connection, settings.onefile.all_organisations, run)
        stopped = approvals.approve(connection, organisation_id, run, whoami(), now())
    typer.echo(
        f"Run {stopped.id} is approved: {text.counts_in_words(stopped.counts)}, and no more, within 24 hours.\n"
        + _NOW_DO.get(stopped.trigger, "The next run does it: 'syncd sync', or the daemon by itself.")
    )


@app.command(rich_help_panel="Deciding")
def reject(run: RunArgument = None, *, config: ConfigOption = None) -> None:
    """Put a stopped run aside; nothing of it is sent. Ends with 1 when no run waits."""
    settings = settings_of(config)
    with open_store(settings).begin() as connection:
        organisation_id = approvals.organisation_of(connection, settings.onefile.all_organisations, run)
        stopped = approvals.reject(connection, organisation_id, run, whoami())
    typer.echo(f"Run {stopped.id} is rejected. A later run that is as large will stop and ask again.")

"""The commands approve and reject: an operator decides about a stopped run."""

from typing import Annotated, Final

import typer

from syncd.cli.options import ConfigOption, settings_of, whoami, whole_number
from syncd.cli.output import text
from syncd.cli.program import app
from syncd.core.run import Trigger
from syncd.state import approvals
from syncd.state.session import writing_session
from syncd.wiring.clock import now
from syncd.wiring.store import open_store

_NOW_DO: Final[dict[Trigger, str]] = {
    trigger: f"Now repeat '{command}'; only that command uses this approval."
    for trigger, command in (
        (Trigger.LINK, "syncd link --apply"),
        (Trigger.REKEY, "syncd rekey"),
        (Trigger.RESTORE, "syncd restore"),
        (Trigger.VERIFY, "syncd verify --fix"),
    )
}


RunArgument = Annotated[
    int | None,
    typer.Argument(
        metavar="RUN", parser=whole_number, help="The number of the stopped run. Omit it for the run that waits."
    ),
]


@app.command(rich_help_panel="Deciding")
def approve(run: RunArgument = None, *, config: ConfigOption = None) -> None:
    """Approve a stopped run: the next run may make as many changes as it planned, within 24 hours.

    Look at 'syncd plan' first. Exit code 1: no run waits for approval.
    """
    settings = settings_of(config)
    organisations = settings.onefile.all_organisations
    with writing_session(open_store(settings), organisations[0], now) as session:
        organisation_id = approvals.organisation_of(session, organisations, run)
        stopped = approvals.approve(session.for_organisation(organisation_id), run, whoami())
    typer.echo(
        f"Run {stopped.id} is approved: at most {text.counts_in_words(stopped.counts)}, within 24 hours.\n"
        + _NOW_DO.get(stopped.trigger, "The next run makes them: 'syncd sync', or the daemon's next poll.")
    )


@app.command(rich_help_panel="Deciding")
def reject(run: RunArgument = None, *, config: ConfigOption = None) -> None:
    """Reject a stopped run: nothing of it is sent. Exit code 1: no run waits for approval."""
    settings = settings_of(config)
    organisations = settings.onefile.all_organisations
    with writing_session(open_store(settings), organisations[0], now) as session:
        organisation_id = approvals.organisation_of(session, organisations, run)
        stopped = approvals.reject(session.for_organisation(organisation_id), run, whoami())
    typer.echo(f"Run {stopped.id} is rejected; nothing of it was sent. A later run of that size stops again.")

"""The commands approve and reject: an operator decides about a stopped run."""

from typing import Annotated, Final

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import OnlyRoleOption, field_named, settings_of, whoami, whole_number
from syncd.cli.output import text
from syncd.cli.program import app
from syncd.core.decisions import Part
from syncd.core.run import POLLS, Trigger
from syncd.core.text import plural
from syncd.state import approvals
from syncd.state.plan_steps import StepFilter
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


ReasonGivenOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; stored and shown with the decision.")
]


@app.command()
def approve(
    run: RunArgument = None,
    *,
    only: Annotated[
        Part | None, typer.Option("--only", metavar="KIND", help="Only the creates, the updates or the leavers.")
    ] = None,
    role: OnlyRoleOption = None,
    field: Annotated[
        str | None,
        typer.Option("--field", metavar="FIELD", parser=field_named, help="Only changes of this field, such as Email."),
    ] = None,
    reason: ReasonGivenOption = "",
    config: ConfigOption = None,
) -> None:
    """Approve the changes of a stopped run: the next run makes those that the MIS still asks for, within 24 hours.

    Look at them first with 'syncd plan RUN'. With --only, --role or --field a part of them is approved; the rest waits
    for another decision. Changes that the MIS asks for later are not covered: the guard counts them on their own.
    Exit code 1: no run waits for approval.
    """
    settings = settings_of(config)
    organisations = settings.onefile.all_organisations
    chosen = StepFilter(part=only or "", role=role or "", field=field or "")
    with writing_session(open_store(settings), organisations[0], now) as session:
        organisation_id = approvals.organisation_of(session, organisations, run)
        here = session.for_organisation(organisation_id)
        settled = approvals.approve(here, run, whoami(), chosen, reason)
    stopped = settled.run
    typer.echo(
        f"Run {stopped.id} is approved: {text.counts_in_words(settled.counts)}, within 24 hours.\n"
        + _NOW_DO.get(stopped.trigger, "The next run makes them: 'syncd sync', or the daemon's next poll.")
    )
    if settled.waiting:
        typer.echo(f"{plural(settled.waiting, 'change')} of the run still wait: approve or reject them as well.")


@app.command()
def reject(run: RunArgument = None, *, reason: ReasonGivenOption = "", config: ConfigOption = None) -> None:
    """Reject the changes of a stopped run, or what is left of them after a part was approved.

    They are not planned again until their records change or 'syncd retry MISID' asks for it; until then the records are
    on the held list. Exit code 1: no run waits for approval.
    """
    settings = settings_of(config)
    organisations = settings.onefile.all_organisations
    with writing_session(open_store(settings), organisations[0], now) as session:
        organisation_id = approvals.organisation_of(session, organisations, run)
        settled = approvals.reject(session.for_organisation(organisation_id), run, whoami(), reason)
    typer.echo(f"Run {settled.run.id} is rejected: {text.counts_in_words(settled.counts)} will not be sent.")
    if settled.run.trigger in POLLS:
        typer.echo("They are not planned again until their records change, or 'syncd retry MISID' asks for it;")
        typer.echo("'syncd retry --reason rejected' asks for all of them.")

"""The command report: what was done in a period, for a manager or an auditor."""

from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import JsonOption, OrganisationOption, organisations_of, settings_of
from syncd.cli.output.dates import SinceOption, Span, UntilOption, zone_of
from syncd.cli.output.json import print_json
from syncd.cli.output.report import Context, document, page_of, print_report
from syncd.cli.program import app
from syncd.cli.state import store_to_read
from syncd.state import held_records
from syncd.state.session import reading_session
from syncd.state.views import audit
from syncd.state.views import report as report_view
from syncd.wiring.clock import now


@app.command()
def report(
    *,
    since: SinceOption = "7d",
    until: UntilOption = None,
    details: Annotated[
        bool, typer.Option("--details", help="Include MISIDs: every change, and every held record.")
    ] = False,
    json: JsonOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page to print. FILE must not exist yet."),
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Report a period for a manager or an auditor: runs, approvals, changes, held records.

    Covers the last seven days by default; days are days in schedule.timezone. Contains no personal values, and MISIDs
    only with --details.

    --json prints one document:

      since, until, organisations, is_whole: false if some of that time is no longer kept
      runs: trigger, state, count, calls
      calls; verifies: how many runs read accounts back; warnings; in_doubt
      approvals: run, at, by, creates, updates, leavers, archivings
      rejections: run, began, by
      requests: at, by, people: 0 is everyone, run
      changes: role, action, outcome, count
      drift: run, at, accounts
      accounts: how many there are now of each role
      held: role, reason, count, oldest
    With --details also each_change and each_held.
    """
    if json and html:
        raise typer.BadParameter("cannot be combined with --json", param_hint="--html")
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    here = now()
    span = Span.read(since, until, zone_of(settings), here).before(here)
    store = store_to_read(settings)
    with reading_session(store, organisations[0], now) as session:
        told = report_view.report(session, organisations, span.since, span.until)
        held = (
            [row for each in organisations for row in held_records.listing(session.for_organisation(each))]
            if details
            else None
        )
    context = Context(
        told,
        zone_of(settings),
        here,
        settings.state.keep,
        audit.between(store, organisations, span.since, span.until) if details else None,
        held,
    )
    if json:
        print_json(document(context))
    elif html:
        page_of(context, html)
        typer.echo(f"The report is in {html}.")
    else:
        print_report(context)

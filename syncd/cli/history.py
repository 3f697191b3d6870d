"""history, report: what was done, and by whose leave; OneFile and the MIS are not asked."""

import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Row

from syncd.cli.options import (
    ConfigOption,
    JsonOption,
    OrganisationOption,
    organisations_of,
    print_json,
    print_json_list,
    print_table,
    settings_of,
)
from syncd.cli.output.csv import as_text
from syncd.cli.output.dates import SinceOption, Span, UntilOption
from syncd.cli.output.report import Context, document, page_of, print_report
from syncd.cli.output.text import shortly
from syncd.cli.program import app
from syncd.settings import Settings
from syncd.state import held_records
from syncd.state.views import audit
from syncd.state.views import report as report_view
from syncd.state.views.status import moment
from syncd.sync.reasons import describe
from syncd.wiring.clock import now
from syncd.wiring.store import open_store_to_read

_CSV_COLUMNS: Final = (
    "organisation_id",
    "role",
    "misid",
    "user_id",
    "run",
    "at",
    "action",
    "fields",
    "outcome",
    "attempts",
    "http_status",
    "detail",
)


@app.command(rich_help_panel="Looking")
def history(
    misid: Annotated[
        str | None,
        typer.Argument(metavar="MISID", help="Whose; everybody's if left out, and then --since is needed."),
    ] = None,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values instead.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Show every change that was sent for one person, or for everybody in a time, the oldest first.

    A day begins and ends by the clock of schedule.timezone. Changes are kept as long as state.keep_days says.
    """
    if misid is None and since is None:
        raise typer.BadParameter("name one, or say --since for everybody's changes", param_hint="MISID")
    if json and as_csv:
        raise typer.BadParameter("is not to be had with --json", param_hint="--csv")
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    span = Span.read(since, until, _zone(settings), now())
    store = open_store_to_read(settings)
    found = audit.between(store, organisations, span.since, span.until, misid)
    if json:
        print_json_list(_document(row) if misid else _of_anybody(row) for row in found)
    elif as_csv:
        _print_csv(found)
    elif misid:
        _print_of_one(misid, list(found))
    else:
        _print_of_all(found)


@app.command(rich_help_panel="Looking")
def report(
    *,
    since: SinceOption = "7d",
    until: UntilOption = None,
    details: Annotated[
        bool, typer.Option("--details", help="Name the MISIDs too: every change, and everybody who is held.")
    ] = False,
    json: JsonOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page to print to FILE, which must not be there yet."),
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Report what was done in a time, for a manager or an auditor: runs, who approved them, changes, what is held.

    It tells of the last seven days unless you say otherwise. No value of a person is ever in it, and no MISID unless
    --details asks for them. A day begins and ends by the clock of schedule.timezone.

    The document of --json:

      since, until, organisations, is_whole: false if some of that time is no longer kept
      runs: trigger, state, count, calls
      calls; verifies: how many runs read accounts back; warnings; in_doubt
      approvals: run, at, by, creates, updates, leavers
      rejections: run, began, by
      requests: at, by, people: 0 is everybody, run
      changes: role, action, outcome, count
      drift: run, at, accounts
      accounts: how many there are now of each role
      held: role, reason, count, oldest
    With --details also each_change and each_held.
    """
    if json and html:
        raise typer.BadParameter("is not to be had with --json", param_hint="--html")
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    here = now()
    span = Span.read(since, until, _zone(settings), here).before(here)
    store = open_store_to_read(settings)
    with store.reading() as connection:
        told = report_view.report(connection, organisations, span.since, span.until)
        held = [row for each in organisations for row in held_records.listing(connection, each)] if details else None
    context = Context(
        told,
        _zone(settings),
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


def _zone(settings: Settings) -> ZoneInfo:
    return ZoneInfo(settings.schedule.timezone)


def _print_of_one(misid: str, rows: list[Row[Any]]) -> None:
    details = any(row.message for row in rows)
    print_table(
        ("run", "when", "role", "action", "outcome", "fields", *(["detail"] if details else [])),
        (
            (
                row.run_id,
                shortly(row.at),
                row.role,
                row.action,
                describe(row.outcome),
                ", ".join(row.fields),
                row.message,
            )[: 7 if details else 6]
            for row in rows
        ),
        f"Nothing was ever sent for {misid}.",
    )


def _print_of_all(rows: Iterable[Row[Any]]) -> None:
    """Line by line, for there may be more of them than memory has room for."""
    line = "{:<8}{:<19}{:<18}{:<14}{:<11}{:<10}{}".format
    begun = False
    for row in rows:
        if not begun:
            typer.echo(line("run", "when", "role", "MISID", "action", "outcome", "fields"))
            begun = True
        said = "; ".join(filter(None, (", ".join(row.fields), row.message)))
        typer.echo(
            line(row.run_id, shortly(row.at), row.role, f"{row.misid} ", row.action, describe(row.outcome), said)
        )
    if not begun:
        typer.echo("Nothing was sent in that time.")


def _print_csv(rows: Iterable[Row[Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, _CSV_COLUMNS)
    writer.writeheader()
    for row in rows:
        one = _of_anybody(row)
        writer.writerow(_cells({**one, "fields": " ".join(one["fields"])}))


def _cells(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_text(cell) if isinstance(cell, str) else cell for name, cell in document.items()}


def _document(row: Row[Any]) -> dict[str, Any]:
    names = ("action", "fields", "outcome", "attempts", "http_status")
    return {
        "run": row.run_id,
        "at": moment(row.at),
        **{name: getattr(row, name) for name in names},
        "detail": row.message,
    }


def _of_anybody(row: Row[Any]) -> dict[str, Any]:
    whose = ("organisation_id", "role", "misid", "user_id")
    return {**{name: getattr(row, name) for name in whose}, **_document(row)}

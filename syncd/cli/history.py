"""The command history: every change that was sent."""

import csv
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Row

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption, organisations_of, settings_of
from syncd.cli.output.csv import as_text
from syncd.cli.output.dates import SinceOption, Span, UntilOption, zone_of
from syncd.cli.output.json import print_json_list
from syncd.cli.output.text import print_table, shortly
from syncd.cli.program import app
from syncd.state.views import audit
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
    span = Span.read(since, until, zone_of(settings), now())
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

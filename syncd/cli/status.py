"""status, held, accounts: reading the state; OneFile and the MIS are not asked."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from syncd.cli.options import (
    ConfigOption,
    JsonOption,
    OrganisationOption,
    organisations_of,
    print_item,
    print_json,
    print_table,
    settings_of,
)
from syncd.cli.output.csv import as_text
from syncd.cli.output.text import shortly
from syncd.cli.program import app
from syncd.core.rate import humanise_duration
from syncd.core.records import Reason
from syncd.state import accounts as accounts_
from syncd.state import held_records
from syncd.state.views import status as status_view
from syncd.state.views.status import moment
from syncd.sync.reasons import HELD, LEFT_OUT, describe
from syncd.wiring.store import open_store_to_read

_ACCOUNT_COLUMNS = ("organisation_id", "role", "misid", "user_id", "status", "synced_at")


@contextmanager
def _reading(config: Path | None, organisation: int | None) -> Iterator[tuple[Connection, tuple[int, ...]]]:
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    with open_store_to_read(settings).reading() as connection:
        yield connection, organisations


@app.command(rich_help_panel="Looking")
def status(*, json: JsonOption = False, organisation: OrganisationOption = None, config: ConfigOption = None) -> None:
    """Show how things stand: the last run and the next, what waits, who is held."""
    limit = settings_of(config).onefile.calls_per_minute
    with _reading(config, organisation) as (connection, organisations):
        document = status_view.status(connection, organisations, limit)
    if json:
        print_json(document)
        return
    for each, one in document.get("organisations", {}).items():
        typer.echo(f"Organisation {each}")
        _print_status(one)
        typer.echo()
    if "organisations" not in document:
        _print_status(document)


def _print_status(document: dict[str, Any]) -> None:
    last, waiting = document["last_run"], document["awaiting_approval"]
    lines = {
        "last run": last
        and f"{last['run']} ({last['trigger']}), {describe(last['state'])}, {last['started_at']}"
        + (f": {last['reason']}" if last["reason"] else ""),
        **({"at work": _at_work(document["progress"])} if document["progress"] else {}),
        "next run": document["next_run_at"] or "no daemon is running",
        "waiting for approval": waiting and f"run {waiting['run']}: {waiting['reason']}",
        "accounts": _counted(document["accounts"]),
        "left the MIS": document["leavers"],
        "held": _counted(document["held"]),
        "warnings": document["warnings"],
        "in doubt": document["in_doubt"],
        "OneFile": document["onefile"],
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<22}{'none' if value is None else value}")


def _at_work(progress: dict[str, Any]) -> str:
    if not progress["planned"]:
        return f"run {progress['run']}: reading and comparing"
    left = f", {humanise_duration(progress['seconds_left'])} left" if progress["seconds_left"] else ""
    return f"run {progress['run']}: {progress['begun']:,} of {progress['planned']:,} changes begun{left}"


@app.command(rich_help_panel="Looking")
def held(
    *,
    json: JsonOption = False,
    warnings: Annotated[
        bool, typer.Option("--warnings", help="The values left out of records that are sent, instead.")
    ] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List the records that cannot be sent: each with its reason, since when, and what to do about it."""
    with _reading(config, organisation) as (connection, organisations):
        rows = [row for each in organisations for row in held_records.listing(connection, each, warnings=warnings)]
    if json:
        print_json([_held(row) for row in rows])
        return
    several = len(organisations) > 1
    print_table(
        (*(["organisation"] if several else []), "reason", "role", "MISID", "what", "since"),
        (
            (
                *([row.organisation_id] if several else []),
                *(describe(row.reason), row.role, _misid(row), row.detail, shortly(row.first_seen_at)),
            )
            for row in rows
        ),
        "Nothing is left out." if warnings else "Nobody is held.",
    )
    advice = LEFT_OUT if warnings else HELD
    for reason in sorted({Reason(row.reason) for row in rows} & advice.keys()):
        print_item(describe(reason), advice[reason].meaning, advice[reason].remedy)


@app.command(rich_help_panel="Looking")
def accounts(
    *,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values instead.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List which MISID is which OneFile UserID."""
    with _reading(config, organisation) as (connection, organisations):
        documents = [_account(row) for each in organisations for row in accounts_.listing(connection, each)]
    if json:
        print_json(documents)
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, _ACCOUNT_COLUMNS)
        writer.writeheader()
        writer.writerows({**one, "misid": as_text(one["misid"])} for one in documents)
    else:
        print_table(
            ("organisation", "role", "MISID", "UserID", "status", "in step since"),
            (tuple(document.values()) for document in documents),
            "There are no accounts yet.",
        )


def _counted(counts: dict[str, int]) -> str | None:
    return ", ".join(f"{count} {describe(what)}" for what, count in sorted(counts.items())) or None


def _misid(row: Row[Any]) -> str:
    return row.misid or f"(row {row.row})"


def _held(row: Row[Any]) -> dict[str, Any]:
    names = ("organisation_id", "role", "misid", "reason", "field", "detail", "feed")
    return {**{name: getattr(row, name) for name in names}, "first_seen_at": moment(row.first_seen_at)}


def _account(row: Row[Any]) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _ACCOUNT_COLUMNS},
        "synced_at": moment(row.synced_at),
    }

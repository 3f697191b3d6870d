"""The command accounts: which MISID is which UserID."""

import csv
import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Row

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption
from syncd.cli.output.csv import as_text
from syncd.cli.output.json import print_json
from syncd.cli.output.text import print_table, shortly
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.state import accounts as accounts_
from syncd.state.views.status import moment

_ACCOUNT_COLUMNS = ("organisation_id", "role", "misid", "user_id", "status", "synced_at")


@app.command(rich_help_panel="Looking")
def accounts(
    *,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List the accounts: MISID, OneFile UserID, status, and when OneFile last accepted a change."""
    with reading_state(config, organisation) as (connection, organisations):
        documents = [_account(row) for each in organisations for row in accounts_.listing(connection, each)]
    if json:
        print_json(documents)
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, _ACCOUNT_COLUMNS)
        writer.writeheader()
        writer.writerows({**one, "misid": as_text(one["misid"])} for one in documents)
    else:
        print_table(
            ("organisation", "role", "MISID", "UserID", "status", "last synced"),
            ((*list(one.values())[:-1], _local(one["synced_at"])) for one in documents),
            "There are no accounts yet. 'syncd sync' creates them.",
        )


def _local(text: str | None) -> str:
    return shortly(datetime.fromisoformat(text) if text else None)


def _account(row: Row[Any]) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _ACCOUNT_COLUMNS},
        "synced_at": moment(row.synced_at),
    }

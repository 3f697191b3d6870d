"""The command accounts: which MISID is which UserID."""

import csv
import sys
from typing import Annotated

import typer

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption
from syncd.cli.output.csv import as_text
from syncd.cli.output.json import print_json
from syncd.cli.output.text import print_table
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.state import accounts as accounts_
from syncd.state.views.documents import account_document

_ACCOUNT_COLUMNS = ("organisation_id", "role", "misid", "user_id", "status", "synced_at")


@app.command(rich_help_panel="Looking")
def accounts(
    *,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values instead.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List which MISID is which OneFile UserID."""
    with reading_state(config, organisation) as (connection, organisations):
        documents = [account_document(row) for each in organisations for row in accounts_.listing(connection, each)]
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

"""The command accounts: which MISID is which UserID."""

import csv
from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import JsonOption, OrganisationOption
from syncd.cli.output.json import print_json
from syncd.cli.output.streams import data_output
from syncd.cli.output.text import print_table, shortly
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.spreadsheet import as_text
from syncd.state import accounts as accounts_
from syncd.state.views.documents import account_document

_ACCOUNT_COLUMNS = ("organisation_id", "role", "misid", "user_id", "status", "synced_at")


@app.command()
def accounts(
    *,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List the accounts: MISID, OneFile UserID, status, and when OneFile last accepted a change."""
    with reading_state(config, organisation) as (session, organisations):
        entries = [entry for each in organisations for entry in accounts_.listing(session.for_organisation(each))]
    documents = [account_document(entry) for entry in entries]
    if json:
        print_json(documents)
    elif as_csv:
        writer = csv.DictWriter(data_output(), _ACCOUNT_COLUMNS)
        writer.writeheader()
        writer.writerows({**one, "misid": as_text(one["misid"])} for one in documents)
    else:
        print_table(
            ("organisation", "role", "MISID", "UserID", "status", "last synced"),
            (
                (entry.organisation_id, entry.role, entry.misid, entry.user_id, entry.status, shortly(entry.synced_at))
                for entry in entries
            ),
            "There are no accounts yet. 'syncd sync' creates them.",
        )

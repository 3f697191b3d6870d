"""The command held: the records that cannot be sent."""

from typing import Annotated

import typer

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption
from syncd.cli.output.json import print_json
from syncd.cli.output.text import print_item, print_table, shortly
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.state import held_records
from syncd.state.held_records import HeldEntry
from syncd.state.views.documents import held_document
from syncd.sync.reasons import HELD, LEFT_OUT, describe


@app.command(rich_help_panel="Looking")
def held(
    *,
    json: JsonOption = False,
    warnings: Annotated[
        bool, typer.Option("--warnings", help="List warnings instead: values left out of records that are sent.")
    ] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List the records that cannot be sent: reason, date, and what to do.

    'syncd help reasons' explains every reason, and what "held" means.
    """
    with reading_state(config, organisation) as (session, organisations):
        entries = [
            entry
            for each in organisations
            for entry in held_records.listing(session.for_organisation(each), warnings=warnings)
        ]
    if json:
        print_json([held_document(entry) for entry in entries])
        return
    several = len(organisations) > 1
    print_table(
        (*(["organisation"] if several else []), "reason", "role", "MISID", "detail", "since"),
        (
            (
                *([entry.organisation_id] if several else []),
                *(describe(entry.reason), entry.role, _misid(entry), entry.detail, shortly(entry.first_seen_at)),
            )
            for entry in entries
        ),
        "There are no warnings." if warnings else "No records are held.",
    )
    advice = LEFT_OUT if warnings else HELD
    for reason in sorted({entry.reason for entry in entries} & advice.keys()):
        print_item(describe(reason), advice[reason].meaning, advice[reason].remedy)


def _misid(entry: HeldEntry) -> str:
    return entry.misid or f"(row {entry.row})"

"""The command held: the records that cannot be sent."""

from typing import Annotated, Any

import typer
from sqlalchemy import Row

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption
from syncd.cli.output.json import print_json
from syncd.cli.output.text import print_item, print_table, shortly
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.records import Reason
from syncd.state import held_records
from syncd.state.views.status import moment
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
    """List the records that cannot be sent: reason, date, and what to do."""
    with reading_state(config, organisation) as (connection, organisations):
        rows = [row for each in organisations for row in held_records.listing(connection, each, warnings=warnings)]
    if json:
        print_json([_held(row) for row in rows])
        return
    several = len(organisations) > 1
    print_table(
        (*(["organisation"] if several else []), "reason", "role", "MISID", "detail", "since"),
        (
            (
                *([row.organisation_id] if several else []),
                *(describe(row.reason), row.role, _misid(row), row.detail, shortly(row.first_seen_at)),
            )
            for row in rows
        ),
        "There are no warnings." if warnings else "No records are held.",
    )
    advice = LEFT_OUT if warnings else HELD
    for reason in sorted({Reason(row.reason) for row in rows} & advice.keys()):
        print_item(describe(reason), advice[reason].meaning, advice[reason].remedy)


def _misid(row: Row[Any]) -> str:
    return row.misid or f"(row {row.row})"


def _held(row: Row[Any]) -> dict[str, Any]:
    names = ("organisation_id", "role", "misid", "reason", "field", "detail", "feed")
    return {**{name: getattr(row, name) for name in names}, "first_seen_at": moment(row.first_seen_at)}

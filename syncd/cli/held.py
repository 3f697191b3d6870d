"""The command held: the records that cannot be sent."""

import csv
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Final

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import JsonOption, OnlyRoleOption, OrganisationOption, ReasonOption
from syncd.cli.output.json import print_json
from syncd.cli.output.streams import data_output
from syncd.cli.output.text import print_item, print_table, shortly
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.spreadsheet import as_text
from syncd.core.text import join, plural
from syncd.state import held_records, suspensions
from syncd.state.held_records import HeldEntry, Selection
from syncd.state.views.documents import held_document, moment
from syncd.sync.reasons import HELD, LEFT_OUT, describe

_CSV_COLUMNS: Final = (
    "organisation_id",
    "role",
    "misid",
    "feed",
    "row",
    "reason",
    "field",
    "other",
    "user_id",
    "likeness",
    "equal",
    "differ",
    "detail",
    "since",
    "answer",
)


@app.command()
def held(
    *,
    reason: ReasonOption = None,
    role: OnlyRoleOption = None,
    json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, with a column for the answers that 'syncd retry --from' reads.")
    ] = False,
    warnings: Annotated[
        bool, typer.Option("--warnings", help="List warnings instead: values left out of records that are sent.")
    ] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List the records that cannot be sent: reason, date, and what to do.

    'syncd help reasons' explains every reason, and what "held" means. For a question about a person, the detail names
    the fields that are equal and those that differ, without values.
    """
    if json and as_csv:
        raise typer.BadParameter("cannot be combined with --json", param_hint="--csv")
    selection = Selection(reason=reason, role=role)
    with reading_state(config, organisation) as (session, organisations):
        entries = [
            entry
            for each in organisations
            for entry in held_records.listing(session.for_organisation(each), selection, warnings=warnings)
        ]
        suspended = [each for here in organisations for each in suspensions.listing(session.for_organisation(here))]
    if json:
        print_json([held_document(entry) for entry in entries])
    elif as_csv:
        _print_csv(entries)
    else:
        _print(entries, Selection() == selection, warnings=warnings, several=len(organisations) > 1)
        for each in () if warnings else suspended:
            typer.echo(f"\nNot held, but not sent: {each.sentence}.")


def _print(entries: list[HeldEntry], is_whole: bool, *, warnings: bool, several: bool) -> None:
    counts = Counter(entry.reason for entry in entries)
    if len(counts) > 1:
        by_reason = join([f"{count:,} {describe(reason)}" for reason, count in counts.most_common()])
        typer.echo(f"{plural(len(entries), 'entry', 'entries')}: {by_reason}.\n")
    nothing = "There are no warnings" if warnings else "No records are held"
    print_table(
        (*(["organisation"] if several else []), "reason", "role", "MISID", "detail", "since"),
        (
            (
                *([entry.organisation_id] if several else []),
                *(describe(entry.reason), entry.role, _misid(entry), _detail(entry), shortly(entry.first_seen_at)),
            )
            for entry in entries
        ),
        f"{nothing}." if is_whole else f"{nothing} for this reason or role.",
    )
    advice = LEFT_OUT if warnings else HELD
    for reason in sorted(counts.keys() & advice.keys()):
        print_item(describe(reason), advice[reason].meaning, advice[reason].remedy)


def _print_csv(entries: Iterable[HeldEntry]) -> None:
    writer = csv.DictWriter(data_output(), _CSV_COLUMNS)
    writer.writeheader()
    for entry in entries:
        evidence = entry.evidence
        row: dict[str, Any] = {
            "organisation_id": entry.organisation_id,
            "role": entry.role,
            "misid": entry.misid,
            "feed": entry.feed,
            "row": entry.row or "",
            "reason": entry.reason,
            "field": entry.field,
            "other": entry.other,
            "user_id": entry.user_id,
            "likeness": evidence.likeness if evidence else "",
            "equal": " ".join(evidence.equal) if evidence else "",
            "differ": " ".join(evidence.differ) if evidence else "",
            "detail": entry.detail,
            "since": moment(entry.first_seen_at),
            "answer": entry.answer or "",
        }
        writer.writerow({name: as_text(cell) if isinstance(cell, str) else cell for name, cell in row.items()})


def _misid(entry: HeldEntry) -> str:
    return entry.misid or f"(row {entry.row})"


def _detail(entry: HeldEntry) -> str:
    if entry.answer is None:
        return entry.detail
    return f"answered {entry.answer.value!r}, which the next run carries out; {entry.detail}"

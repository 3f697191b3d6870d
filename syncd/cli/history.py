"""The command history: every change that was sent."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import JsonOption, OrganisationOption, misid_given, organisations_of, settings_of
from syncd.cli.output.dates import SinceOption, Span, UntilOption, zone_of
from syncd.cli.output.json import print_json_list
from syncd.cli.output.streams import data_output
from syncd.cli.output.text import print_table, shortly
from syncd.cli.program import app
from syncd.cli.state import store_to_read
from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.spreadsheet import as_text
from syncd.settings import Settings
from syncd.state import accounts
from syncd.state.changes import ChangeEntry
from syncd.state.db.store import Store
from syncd.state.retention import kept_since
from syncd.state.session import reading_session
from syncd.state.views import audit
from syncd.state.views.documents import change_document, history_document
from syncd.sync.reasons import describe
from syncd.wiring.clock import now

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


@app.command()
def history(
    misid: Annotated[
        str | None,
        typer.Argument(
            metavar="MISID", parser=misid_given, help="The MISID to show. Omit it to show everyone (requires --since)."
        ),
    ] = None,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List the changes sent for one MISID, or for everyone in a period, oldest first.

    The history of a MISID is that of its accounts, also from the time when they had another MISID. Days are days in
    schedule.timezone. Changes are kept for state.keep_days; the last line says since when.
    """
    if misid is None and since is None:
        raise typer.BadParameter("give a MISID, or --since to list everyone's changes", param_hint="MISID")
    if json and as_csv:
        raise typer.BadParameter("cannot be combined with --json", param_hint="--csv")
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    span = Span.read(since, until, zone_of(settings), now())
    store = store_to_read(settings)
    found = audit.between(store, organisations, span.since, span.until, misid)
    if json:
        print_json_list((history_document if misid else change_document)(entry) for entry in found)
    elif as_csv:
        _print_csv(found)
    elif misid:
        _print_of_one(misid, list(found), _accounts(store, organisations, misid))
        _print_kept(settings)
    else:
        _print_of_all(found)


def _accounts(store: Store, organisations: Sequence[int], misid: str) -> Iterator[str]:
    """Each account that has the MISID now, in a sentence."""
    for organisation_id in organisations:
        with reading_session(store, organisation_id, now) as session:
            for role in Role:
                if (found := accounts.details(session, Key(organisation_id, role, misid))) is not None:
                    known_by = "no UserID yet" if found.user_id is None else f"UserID {found.user_id}"
                    yield (
                        f"The account of the {role} {misid} is known since {shortly(found.created_at)}: {known_by}, "
                        f"{describe(found.status)}, last synced {shortly(found.synced_at)}."
                    )


def _print_kept(settings: Settings) -> None:
    if (first := kept_since(settings.state.keep, now())) is not None:
        typer.echo(f"Every change since {shortly(first)} is kept; older ones are deleted: see state.keep_days.")


def _print_of_one(misid: str, entries: list[ChangeEntry], accounts_now: Iterable[str]) -> None:
    details = any(entry.message for entry in entries)
    # An account may have had other MISIDs, and a MISID other accounts.
    several = any(entry.misid != misid for entry in entries)
    print_table(
        (
            *("run", "when", "role"),
            *(["MISID", "UserID"] if several else []),
            *("action", "outcome", "fields"),
            *(["detail"] if details else []),
        ),
        (
            (
                *(entry.run_id, shortly(entry.at), entry.role),
                *([entry.misid, entry.user_id] if several else []),
                *(entry.action, describe(entry.outcome), ", ".join(entry.fields)),
                *([entry.message] if details else []),
            )
            for entry in entries
        ),
        f"No change is on record for {misid}.",
    )
    # What was sent to it may be older than what is kept.
    for sentence in accounts_now if not entries else ():
        typer.echo(sentence)


def _print_of_all(entries: Iterable[ChangeEntry]) -> None:
    """Print line by line, because there may be more entries than fit in memory."""
    line = "{:<8}{:<19}{:<18}{:<14}{:<11}{:<10}{}".format
    begun = False
    for entry in entries:
        if not begun:
            typer.echo(line("run", "when", "role", "MISID", "action", "outcome", "fields"))
            begun = True
        said = "; ".join(filter(None, (", ".join(entry.fields), entry.message)))
        typer.echo(
            line(
                entry.run_id,
                shortly(entry.at),
                entry.role,
                f"{entry.misid} ",
                entry.action,
                describe(entry.outcome),
                said,
            )
        )
    if not begun:
        typer.echo("No change is on record for that period.")


def _print_csv(entries: Iterable[ChangeEntry]) -> None:
    writer = csv.DictWriter(data_output(), _CSV_COLUMNS)
    writer.writeheader()
    for entry in entries:
        one = change_document(entry)
        writer.writerow(_cells({**one, "fields": " ".join(one["fields"])}))


def _cells(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_text(cell) if isinstance(cell, str) else cell for name, cell in document.items()}

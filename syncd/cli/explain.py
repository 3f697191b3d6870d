"""The command explain: one record end to end."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from textwrap import fill
from typing import Annotated, Any

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import stopped_by_signals
from syncd.cli.options import JsonOption, OrganisationOption, misid_given, organisations_of, set_up_logs, settings_of
from syncd.cli.output.json import print_json
from syncd.cli.output.text import print_table, shortly, width
from syncd.cli.program import app
from syncd.cli.state import store_to_read
from syncd.core.guard import ChangeKind, Limits, Usage, Window
from syncd.core.text import printable, quoted
from syncd.onefile import ApiRequest
from syncd.operations.explain import Account, Cell, Decision, Explanation, RecordExplanation
from syncd.operations.explain import explain as explanation_of
from syncd.state import guard_usage
from syncd.state.views.documents import evidence_document, moment
from syncd.sync.reasons import describe
from syncd.wiring.context import open_context

_GUARD = "not checked: it applies to a run as a whole; 'syncd plan' shows its result"


@app.command()
def explain(
    misid: Annotated[str, typer.Argument(metavar="MISID", parser=misid_given, help="The MISID of the record.")],
    *,
    values: Annotated[bool, typer.Option("--values", help="Show personal values too. They are never logged.")] = False,
    json: JsonOption = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Explain one record end to end: its row, its account, what a run would do, and why. Sends nothing.

    Reads the feeds up to three times and asks OneFile only what a run would ask for this record.

    Exit codes: 0 done, also if the MISID is unknown; 1 the MIS, OneFile or the configuration cannot be used.

    --json prints one document:

    misid; guard; alike: if the MISID is unknown, MISIDs that resemble it
    records: one for each organisation and role that has the MISID, with
      organisation_id, role, sentence, why
      decision: create, update, link, rekey, unarchive, assign, held,
        in_step, leaver, archived or nothing
      calls: method, path, fields
      rows: feed, row, columns: column, field, read, sent, difference
      account: null, or user_id, status, synced_at, left_at, feed, accepted,
        drift: null, or at, kind (changed or missing), fields
      held, warnings: reason, field, detail, since
      in_doubt_since
      last_change: null, or run, at, action, outcome, fields, detail
      compared: the records and accounts that may be about the same person:
        relation (asked, next_programme, earlier_programme or same_person),
        misid, user_id, evidence: null, or likeness, equal, differ
      assignments: role, misid, feed, state
    With --values columns have value, and calls and the account values.
    """
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    log = set_up_logs(settings, is_watched=True)
    store = store_to_read(settings)
    with stopped_by_signals() as stopping, open_context(settings, store, log, stopping) as context:
        explained = {each: explanation_of(context.for_organisation(each), misid) for each in organisations}
        usages: dict[int, Usage] = {}
        for each in organisations:
            with context.for_organisation(each).reading_session() as session:
                usages[each] = guard_usage.usage(session)
    if json:
        print_json(_document(misid, explained.values(), shows=values))
        return
    _print(misid, explained, len(settings.feeds), shows=values)
    if any(each.records for each in explained.values()):
        typer.echo(f"\nThe guard was {_GUARD}.")
        for each, usage in usages.items():
            _print_usage(each if len(usages) > 1 else None, usage, settings.guard.limits)


def _print(misid: str, explained: Mapping[int, Explanation], feeds: int, *, shows: bool) -> None:
    records = [record for each in explained.values() for record in each.records]
    if not records:
        where = "The feed has no row" if feeds == 1 else f"None of the {feeds} feeds has a row"
        typer.echo(f"{where} with the MISID {misid}, and syncd has no account for it: nothing to send.")
        if alike := _alike(explained.values()):
            typer.echo(f"Did you mean {' or '.join(map(quoted, alike))}?")
        else:
            typer.echo("If the person is in the MIS, the feed's query leaves them out, or they have a different MISID.")
        return
    for number, record in enumerate(records):
        if number:
            typer.echo()
        of_organisation = f" of organisation {record.key.organisation_id}" if len(explained) > 1 else ""
        # The sentence may end with a message from OneFile.
        said = printable(record.decided.sentence.rstrip("."))
        typer.echo(typer.style(f"{record.key.role} {misid}{of_organisation} {said}.", bold=True))
        for name, line in _lines(record, shows=shows):
            label, indent = f"  {name + ':' if name else '':<15}", " " * 17
            typer.echo(
                fill(printable(line), width(), initial_indent=label, subsequent_indent=indent, break_on_hyphens=False)
            )
        for row in record.rows:
            typer.echo(f"\n  Row {row.number} of the feed {row.feed}:")
            _print_cells(row.cells, record, shows=shows)


def _print_usage(organisation_id: int | None, usage: Usage, limits: Limits) -> None:
    """How much was changed without approval, of what is allowed."""
    of_organisation = f" of organisation {organisation_id}" if organisation_id is not None else ""
    for window in (Window.DAY, Window.WEEK):
        used = ", ".join(f"{usage.used(kind, window):,} {kind}" for kind in ChangeKind)
        allowed = limits.allowed(usage.accounts, window)
        typer.echo(f"Without approval{of_organisation} {window.value}: {used}; {allowed:,} of each are allowed.")


def _lines(record: RecordExplanation, *, shows: bool) -> Iterator[tuple[str, str]]:
    yield "because", record.decided.why
    for number, call in enumerate(record.calls):
        yield ("" if number else "calls" if record.calls[1:] else "call"), _call(call, shows=shows)
    if not record.calls:
        yield "call", "none"
    if not record.rows:
        yield "rows", "none in any feed of this role"
    if record.rows[1:]:
        yield "rows", ", ".join(f"row {row.number} of the feed {row.feed}" for row in record.rows)
    if record.account:
        yield from _account(record.account)
    else:
        yield "account", "none in the state store"
    yield from _listed("compared", (each.sentence for each in record.compared))
    for entry in record.entries:
        what = "left out" if entry.is_warning else "held" if record.decided.decision is Decision.HELD else "was held"
        yield what, f"{entry.detail} ({describe(entry.reason)}), since {shortly(entry.since)}"
    if record.in_doubt_since:
        yield (
            "in doubt",
            f"a create without an answer since {shortly(record.in_doubt_since)}; each run searches OneFile for it",
        )
    if last := record.last_change:
        what = f"{last.action}, {describe(last.outcome)}, {shortly(last.at)}, in run {last.run}"
        yield "last change", f"{what}: {last.message}" if last.message else what
    assigned = ((each, f" (feed {each.feed})" if each.feed else "") for each in record.assignments)
    yield from _listed("assigned", (f"the {each.role} {each.misid}{feed} {each.state}" for each, feed in assigned))


def _listed(name: str, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Lines of which only the first one has the name."""
    return (("" if number else name, line) for number, line in enumerate(lines))


def _account(account: Account) -> Iterator[tuple[str, str]]:
    known_by = "no UserID yet" if account.user_id is None else f"UserID {account.user_id}"
    synced = f"last synced {shortly(account.synced_at)}, from the feed {account.feed}"
    yield "account", f"{known_by}, {describe(account.status)}, {synced}"
    if account.left_at:
        yield "left on", shortly(account.left_at)
    yield "last accepted", ", ".join(sorted(account.accepted)) or "nothing yet"
    if account.drift:
        found = f"{account.drift.in_words}, when OneFile was verified, {shortly(account.drift.at)}"
        yield "drift", f"{found}; 'syncd verify' looks again, with --fix it sends the MIS's values"


def _call(call: ApiRequest, *, shows: bool) -> str:
    names = ", ".join(f"{name} {_shown(value)}" if shows else name for name, value in call.fields.items())
    return f"{call.method} {call.path}" + (f" with {names}" if names else "")


def _print_cells(cells: Collection[Cell], record: RecordExplanation, *, shows: bool) -> None:
    accepted = record.account.accepted if record.account else {}
    headings = (
        "column",
        "OneFile field",
        "read as",
        "difference",
        *(("value", "OneFile last accepted") if shows else ()),
    )
    print_table(
        [f"    {headings[0]}", *headings[1:]],
        (
            (
                f"    {cell.column}",
                cell.field,
                cell.how,
                f"{cell.difference}, sent" if cell.is_sent else cell.difference,
                *((_cell(cell.value), _cell(accepted.get(cell.field))) if shows else ()),
            )
            for cell in cells
        ),
        "",
    )


def _cell(value: object) -> str:
    return "" if value is None else _shown(value)


def _shown(value: object) -> str:
    """A value with every invisible or control character escaped."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _alike(explained: Collection[Explanation]) -> list[str]:
    return sorted({misid for each in explained for misid in each.alike})


def _document(misid: str, explained: Collection[Explanation], *, shows: bool) -> dict[str, Any]:
    return {
        "misid": misid,
        "records": [_record(record, shows=shows) for each in explained for record in each.records],
        "alike": _alike(explained),
        "guard": _GUARD,
    }


def _record(record: RecordExplanation, *, shows: bool) -> dict[str, Any]:
    entries = [
        (
            entry.is_warning,
            {"reason": entry.reason, "field": entry.field, "detail": entry.detail, "since": moment(entry.since)},
        )
        for entry in record.entries
    ]
    account, last = record.account, record.last_change
    return {
        "organisation_id": record.key.organisation_id,
        "role": record.key.role,
        "decision": record.decided.decision,
        "sentence": record.decided.sentence,
        "why": record.decided.why,
        "calls": [
            {
                "method": call.method,
                "path": call.path,
                "fields": list(call.fields),
                **({"values": dict(call.fields)} if shows else {}),
            }
            for call in record.calls
        ],
        "rows": [
            {"feed": row.feed, "row": row.number, "columns": [_column(cell, shows=shows) for cell in row.cells]}
            for row in record.rows
        ],
        "account": account
        and {
            "user_id": account.user_id,
            "status": account.status,
            "synced_at": moment(account.synced_at),
            "left_at": moment(account.left_at),
            "feed": account.feed,
            "accepted": sorted(account.accepted),
            "drift": account.drift
            and {
                "at": moment(account.drift.at),
                "kind": account.drift.drift and account.drift.drift.kind,
                "fields": account.drift.drift and list(account.drift.drift.fields),
            },
            **({"values": dict(account.accepted)} if shows else {}),
        },
        "held": [entry for is_warning, entry in entries if not is_warning],
        "warnings": [entry for is_warning, entry in entries if is_warning],
        "in_doubt_since": moment(record.in_doubt_since),
        "last_change": last
        and {
            "run": last.run,
            "at": moment(last.at),
            "action": last.action,
            "outcome": last.outcome,
            "fields": last.fields,
            "detail": last.message,
        },
        "compared": [
            {
                "relation": each.relation,
                "misid": each.other or None,
                "user_id": each.user_id,
                "evidence": evidence_document(each.evidence),
            }
            for each in record.compared
        ],
        "assignments": [
            {"role": each.role, "misid": each.misid, "feed": each.feed, "state": each.state}
            for each in record.assignments
        ],
    }


def _column(cell: Cell, *, shows: bool) -> dict[str, Any]:
    value = cell.value if isinstance(cell.value, str | int | None) else str(cell.value)
    return {
        "column": cell.column,
        "field": cell.field,
        "read": cell.how,
        "sent": cell.is_sent,
        "difference": cell.difference,
        **({"value": value} if shows else {}),
    }

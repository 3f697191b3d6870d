"""A report as text, as JSON and as a page to print; it has no values, and MISIDs only where they are asked for."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Row

from syncd.cli.output.html import Section, print_section, write_page
from syncd.cli.output.text import PAST
from syncd.state.changes import Action, Outcome
from syncd.state.views.report import Report
from syncd.state.views.status import moment
from syncd.sync.reasons import describe

_DONE: Final = frozenset({Outcome.APPLIED, Outcome.ACCEPTED})
_OF_CHANGE: Final = ("organisation_id", "role", "misid", "user_id", "action", "fields", "outcome")
_OF_HELD: Final = ("organisation_id", "role", "misid", "reason", "field")


@dataclass(frozen=True, slots=True)
class Context:
    """A report, and what is to be known about it."""

    report: Report
    zone: ZoneInfo
    now: datetime
    keep: timedelta
    """How long changes are kept; nothing is for ever."""
    changes: Iterable[Row[Any]] | None = None
    """Every one of them, where MISIDs are asked for."""
    held: Iterable[Row[Any]] | None = None
    """The same of the held records."""

    def when(self, at: datetime) -> str:
        """A moment as its readers' clocks say."""
        return f"{at.astimezone(self.zone):%d %b %Y %H:%M}"

    def how_long(self, since: datetime) -> str:
        """How long ago that was."""
        days = (self.now - since).days
        return "less than a day" if days < 1 else _counted(days, "day")


def print_report(context: Context) -> None:
    """Print it for people."""
    typer.echo(typer.style(_title(context), bold=True))
    for sentence in (*_summary(context), _made(context)):
        typer.echo(sentence)
    for section in _sections(context):
        print_section(section)


def page_of(context: Context, file: Path) -> None:
    """Write it as one HTML page. Raises `ConfigurationError`."""
    write_page(file, _title(context), _made(context), _summary(context), _sections(context))


def document(context: Context) -> dict[str, Any]:
    """The document of ``syncd report --json``."""
    report = context.report
    told: dict[str, Any] = {
        "since": moment(report.since),
        "until": moment(report.until),
        "organisations": list(report.organisations),
        "is_whole": _is_whole(context),
        "runs": [asdict(each) for each in report.runs],
        "calls": report.calls,
        "approvals": [asdict(each) | {"at": moment(each.at)} for each in report.approvals],
        "rejections": [asdict(each) | {"began": moment(each.began)} for each in report.rejections],
        "requests": [asdict(each) | {"at": moment(each.at)} for each in report.requests],
        "changes": [asdict(each) for each in report.changes],
        "verifies": report.verifies,
        "drift": [asdict(each) | {"at": moment(each.at)} for each in report.drift],
        "accounts": dict(report.accounts),
        "held": [asdict(each) | {"oldest": moment(each.oldest)} for each in report.held],
        "warnings": report.warnings,
        "in_doubt": report.in_doubt,
    }
    if context.changes is not None:
        told["each_change"] = [
            {"run": row.run_id, "at": moment(row.at), **{name: getattr(row, name) for name in _OF_CHANGE}}
            for row in context.changes
        ]
    if context.held is not None:
        told["each_held"] = [
            {**{name: getattr(row, name) for name in _OF_HELD}, "first_seen_at": moment(row.first_seen_at)}
            for row in context.held
        ]
    return told


def _title(context: Context) -> str:
    report = context.report
    organisations = report.organisations
    which = f"organisation{'s' if organisations[1:] else ''} {', '.join(map(str, organisations))}"
    return f"syncd, {which}: {context.when(report.since)} to {context.when(report.until)}"


def _made(context: Context) -> str:
    return f"As of {context.when(context.now)}. Times are in {context.zone.key}."


def _summary(context: Context) -> list[str]:
    report = context.report
    done, not_done = _changes(report, are_done=True), _changes(report, are_done=False)
    runs = sum(each.count for each in report.runs)
    held = sum(each.count for each in report.held)
    was = f"{_counted(runs, 'run')}, {_counted(report.calls, 'call')} to OneFile, "
    was += f"{_counted(sum(done.values()), 'change')} made, {sum(not_done.values())} refused or in doubt."
    is_now = f"Now: {_counted(sum(report.accounts.values()), 'account')} kept in sync, "
    is_now += f"{_counted(held, 'record')} held, {_counted(report.in_doubt, 'create')} in doubt."
    sentences = [was, is_now]
    if not _is_whole(context):
        first = context.when(context.now - context.keep)
        sentences.append(f"Not the whole period: changes before {first} are no longer kept.")
    return sentences


def _is_whole(context: Context) -> bool:
    return not context.keep or context.report.since >= context.now - context.keep


def _sections(context: Context) -> Iterator[Section]:
    report, when = context.report, context.when
    yield Section(
        "Runs",
        ("started by", "state", "runs", "calls"),
        [(describe(each.trigger), describe(each.state), each.count, each.calls) for each in report.runs],
        "There were no runs.",
    )
    yield Section(
        "Approvals",
        ("when", "approved by", "run", "creates", "updates", "leavers"),
        [(when(each.at), each.by, each.run, each.creates, each.updates, each.leavers) for each in report.approvals],
        "There were no approvals.",
    )
    yield Section(
        "Rejections",
        ("started", "rejected by", "run"),
        [(when(each.began), each.by or "not recorded", each.run) for each in report.rejections],
        "There were no rejections.",
    )
    yield Section(
        "Requested runs",
        ("when", "requested by", "scope", "run"),
        [
            (
                when(each.at),
                each.by,
                _counted(each.people, "MISID") if each.people else "everyone",
                each.run or "none yet",
            )
            for each in report.requests
        ],
        "There were no requests.",
    )
    yield _accounts(report)
    yield Section(
        "Refused by OneFile, or in doubt",
        ("role", "action", "outcome", "changes"),
        [
            (each.role, each.action, describe(each.outcome), each.count)
            for each in report.changes
            if each.outcome not in _DONE
        ],
        "There were none.",
    )
    yield Section(
        "Drift: accounts changed in OneFile by others",
        ("when", "run", "accounts"),
        [(when(each.at), each.run, each.accounts) for each in report.drift],
        "No drift was found." if report.verifies else "Not checked: there was no verify.",
        said=f"Accounts were read back {report.verifies} times." if report.verifies > 1 else "",
    )
    yield Section(
        "Held now",
        ("reason", "role", "records", "oldest"),
        [(describe(each.reason), each.role, each.count, context.how_long(each.oldest)) for each in report.held],
        "No records are held.",
    )
    yield Section("Accounts now", ("role", "accounts"), sorted(report.accounts.items()), "There are no accounts yet.")
    yield from _details(context)


def _accounts(report: Report) -> Section:
    """What became of accounts: a row for each role, a column for each kind of change that there was."""
    done = _changes(report, are_done=True)
    actions = [action for action in Action if any(action == kind for _, kind in done)]
    by_role: dict[str, dict[str, int]] = defaultdict(dict)
    for (role, action), count in done.items():
        by_role[role][action] = count
    return Section(
        "Changes",
        ("role", *(PAST[action] for action in actions)),
        [(role, *(counts.get(action, 0) for action in actions)) for role, counts in sorted(by_role.items())],
        "There were no changes.",
    )


def _details(context: Context) -> Iterator[Section]:
    if context.changes is not None:
        yield Section(
            "Every change",
            ("when", "run", "role", "MISID", "action", "outcome", "fields"),
            (
                (
                    context.when(row.at),
                    row.run_id,
                    row.role,
                    row.misid,
                    row.action,
                    describe(row.outcome),
                    ", ".join(row.fields),
                )
                for row in context.changes
            ),
            "There were no changes.",
        )
    if context.held is not None:
        yield Section(
            "Every record held now",
            ("reason", "role", "MISID", "field", "for"),
            (
                (describe(row.reason), row.role, row.misid, row.field, context.how_long(row.first_seen_at))
                for row in context.held
            ),
            "No records are held.",
        )


def _changes(report: Report, *, are_done: bool) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for each in report.changes:
        if (each.outcome in _DONE) == are_done:
            counts[each.role, each.action] += each.count
    return counts


def _counted(count: int, what: str, several: str = "") -> str:
    return f"{count} {what if count == 1 else several or f'{what}s'}"

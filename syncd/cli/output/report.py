"""A report as text, as JSON and as a page to print; it has no values, and MISIDs only with --details."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import typer

from syncd.cli.output.html import Section, print_section, write_page
from syncd.cli.output.text import PAST
from syncd.core.run import Action, Outcome
from syncd.core.text import plural
from syncd.state.changes import ChangeEntry
from syncd.state.held_records import HeldEntry
from syncd.state.retention import kept_since
from syncd.state.views.documents import report_change_document, report_document, report_held_document
from syncd.state.views.report import Report
from syncd.sync.reasons import describe

_DONE: Final = frozenset({Outcome.APPLIED, Outcome.ACCEPTED})
#: Of these OneFile has carried out none; the next run plans them again.
_NOT_DONE: Final = frozenset({Outcome.NOT_DONE})
_UNSURE: Final = frozenset(Outcome) - _DONE - _NOT_DONE


@dataclass(frozen=True, slots=True)
class Context:
    """A report, and how to show it."""

    report: Report
    zone: ZoneInfo
    now: datetime
    keep: timedelta
    """How long changes are kept; zero keeps them for ever."""
    changes: Iterable[ChangeEntry] | None = None
    """Every change, with --details."""
    held: Iterable[HeldEntry] | None = None
    """Every held record, with --details."""

    def when(self, at: datetime) -> str:
        """A time in the zone of the schedule."""
        return f"{at.astimezone(self.zone):%d %b %Y %H:%M}"

    def how_long(self, since: datetime) -> str:
        """How long ago that was."""
        days = (self.now - since).days
        return "less than a day" if days < 1 else plural(days, "day")


def print_report(context: Context) -> None:
    """Print it on the terminal."""
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
    found = report_document(context.report, is_whole=_first_kept(context) is None)
    if context.changes is not None:
        found["each_change"] = [report_change_document(entry) for entry in context.changes]
    if context.held is not None:
        found["each_held"] = [report_held_document(entry) for entry in context.held]
    return found


def _title(context: Context) -> str:
    report = context.report
    organisations = report.organisations
    which = f"organisation{'s' if organisations[1:] else ''} {', '.join(map(str, organisations))}"
    return f"syncd, {which}: {context.when(report.since)} to {context.when(report.until)}"


def _made(context: Context) -> str:
    return f"As of {context.when(context.now)}. Times are in {context.zone.key}."


def _summary(context: Context) -> list[str]:
    report = context.report
    done, unsure, not_done = (sum(_changes(report, each).values()) for each in (_DONE, _UNSURE, _NOT_DONE))
    runs = sum(each.count for each in report.runs)
    held = sum(each.count for each in report.held)
    was = f"{plural(runs, 'run')}, {plural(report.calls, 'call')} to OneFile, "
    was += f"{plural(done, 'change')} made, {unsure} refused or in doubt"
    was += f", {not_done} not done." if not_done else "."
    is_now = f"Now: {plural(sum(report.accounts.values()), 'account')} kept in sync, "
    is_now += f"{plural(held, 'record')} held, {plural(report.in_doubt, 'create')} in doubt."
    sentences = [was, is_now]
    if (first := _first_kept(context)) is not None:
        sentences.append(f"Not the whole period: changes before {context.when(first)} are no longer kept.")
    return sentences


def _first_kept(context: Context) -> datetime | None:
    """The time since which changes are kept, if the period begins before it."""
    first = kept_since(context.keep, context.now)
    return first if first is not None and context.report.since < first else None


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
        ("when", "approved by", "run", "creates", "updates", "leavers", "archivings"),
        [
            (when(each.at), each.by, each.run, each.creates, each.updates, each.leavers, each.archivings)
            for each in report.approvals
        ],
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
                plural(each.people, "MISID") if each.people else "everyone",
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
            if each.outcome in _UNSURE
        ],
        "There were none.",
    )
    yield Section(
        "Not done",
        ("role", "action", "changes"),
        [(each.role, each.action, each.count) for each in report.changes if each.outcome in _NOT_DONE],
        "There were none.",
        said="OneFile did not get these, or a search showed that it had not done them. The next run plans them again.",
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
    """The changes of accounts: a row for each role, a column for each action that occurred."""
    done = _changes(report, _DONE)
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
                    context.when(entry.at),
                    entry.run_id,
                    entry.role,
                    entry.misid,
                    entry.action,
                    describe(entry.outcome),
                    ", ".join(entry.fields),
                )
                for entry in context.changes
            ),
            "There were no changes.",
        )
    if context.held is not None:
        yield Section(
            "Every record held now",
            ("reason", "role", "MISID", "field", "for"),
            (
                (describe(entry.reason), entry.role, entry.misid, entry.field, context.how_long(entry.first_seen_at))
                for entry in context.held
            ),
            "No records are held.",
        )


def _changes(report: Report, outcomes: Collection[Outcome]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for each in report.changes:
        if each.outcome in outcomes:
            counts[each.role, each.action] += each.count
    return counts

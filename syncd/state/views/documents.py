"""The JSON documents of the contract, each made in one place from the store's records."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from syncd.core.evidence import Evidence
from syncd.core.guard import Counts
from syncd.core.run import Action, OneFileStatus, Outcome
from syncd.state.accounts import AccountEntry
from syncd.state.approvals import Settled
from syncd.state.changes import ChangeEntry
from syncd.state.held_records import HeldEntry
from syncd.state.runs import RunSummary
from syncd.state.suspensions import Suspension
from syncd.state.views.report import Report
from syncd.state.views.run_list import RunDetails
from syncd.state.views.status import OneFileReachability, StatusReport, combine


def moment(at: datetime | None) -> str | None:
    """A time as the documents have it: ISO 8601 in UTC, to the millisecond."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status_document(reports: Mapping[int, StatusReport]) -> dict[str, Any]:
    """The document of ``syncd status --json``, from the state of each organisation.

    For several organisations it has them together, and each by itself under ``organisations``.
    """
    documents = {organisation_id: _status(report) for organisation_id, report in reports.items()}
    if len(documents) == 1:
        return next(iter(documents.values()))
    each = {str(organisation_id): document for organisation_id, document in documents.items()}
    return {**_status(combine(reports.values())), "organisations": each}


def _status(report: StatusReport) -> dict[str, Any]:
    waiting = report.waiting
    return {
        "last_run": report.last_run and _last_run(report.last_run),
        "progress": report.progress and asdict(report.progress),
        "next_run_at": moment(report.next_run_at),
        "awaiting_approval": waiting
        and {**stopped_run_document(waiting.id, report.waiting_counts), "reason": waiting.reason},
        "accounts": dict(report.accounts),
        "leavers": report.leavers,
        "held": dict(report.held),
        "warnings": report.warnings,
        "in_doubt": report.in_doubt,
        "drift": report.drift,
        "as_of": moment(report.as_of),
        "suspended": [suspension_document(each) for each in report.suspended],
        "onefile": onefile_text(report.onefile),
    }


def suspension_document(suspension: Suspension) -> dict[str, Any]:
    """A suspended action in the status document."""
    return {
        "role": suspension.kind.role,
        "action": suspension.kind.action,
        "reason": suspension.reason,
        "since": moment(suspension.since),
        "queued": suspension.queued,
    }


def _last_run(run: RunSummary) -> dict[str, Any]:
    counts = ("creates", "updates", "leavers", "archivings", "returners", "held", "warnings", "unchanged")
    outcomes = ("applied", "refused", "in_doubt", "queued", "calls")
    return {
        "run": run.id,
        "trigger": run.trigger,
        "state": run.state,
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        **{name: getattr(run, name) for name in (*counts, *outcomes)},
        "reason": run.reason,
    }


def run_document(run: RunSummary) -> dict[str, Any]:
    """An entry of ``syncd runs --json``."""
    return {
        "organisation_id": run.organisation_id,
        **_last_run(run),
        "asked_by": run.asked_by,
        "settled_by": run.settled_by,
        "settled_at": moment(run.settled_at),
        "settled_reason": run.settled_reason,
        "drift": run.drift,
        "undone_run": run.undone_run_id,
    }


def run_details_document(run: RunDetails, changes: Mapping[Action, Mapping[Outcome, int]]) -> dict[str, Any]:
    """The document of ``syncd runs RUN --json``; ``changes`` are the numbers of what it sent."""
    sent = {str(action): {str(outcome): count for outcome, count in by.items()} for action, by in changes.items()}
    return {**run_document(run.summary), "changes": sent, "plan_run": run.plan_run}


def onefile_text(onefile: OneFileReachability) -> str:
    """``onefile`` of the status document."""
    match onefile.status:
        case None:
            return "unknown"
        case OneFileStatus.OK:
            return "ok"
        case OneFileStatus.UNREACHABLE:
            return f"unreachable since {moment(onefile.unreachable_since)}"


def settled_document(settled: Settled) -> dict[str, Any]:
    """A run that was approved or rejected: the changes that this is about, and how many still wait."""
    return {**stopped_run_document(settled.run.id, settled.counts), "waiting": settled.waiting}


def stopped_run_document(number: int, counts: Counts) -> dict[str, Any]:
    """A run that is approved or rejected, and what it would have done."""
    return {"run": number, **asdict(counts)}


def account_document(account: AccountEntry) -> dict[str, Any]:
    """An entry of ``syncd accounts --json``."""
    return {
        "organisation_id": account.organisation_id,
        "role": account.role,
        "misid": account.misid,
        "user_id": account.user_id,
        "status": account.status,
        "synced_at": moment(account.synced_at),
    }


def held_document(entry: HeldEntry) -> dict[str, Any]:
    """An entry of ``syncd held --json``."""
    return {
        "organisation_id": entry.organisation_id,
        "role": entry.role,
        "misid": entry.misid,
        "reason": entry.reason,
        "field": entry.field,
        "detail": entry.detail,
        "feed": entry.feed,
        "other": entry.other or None,
        "user_id": entry.user_id,
        "evidence": evidence_document(entry.evidence),
        "answer": entry.answer,
        "first_seen_at": moment(entry.first_seen_at),
    }


def evidence_document(evidence: Evidence | None) -> dict[str, Any] | None:
    """Evidence in a document: the likeness, and the names of the fields that are equal and that differ."""
    if evidence is None:
        return None
    return {"likeness": evidence.likeness, "equal": list(evidence.equal), "differ": list(evidence.differ)}


def history_document(change: ChangeEntry) -> dict[str, Any]:
    """An entry of ``syncd history MISID --json``."""
    return {
        "run": change.run_id,
        "at": moment(change.at),
        "misid": change.misid,
        "user_id": change.user_id,
        "action": change.action,
        "fields": list(change.fields),
        "outcome": change.outcome,
        "attempts": change.attempts,
        "http_status": change.http_status,
        "detail": change.message,
    }


def change_document(change: ChangeEntry) -> dict[str, Any]:
    """An entry of ``syncd history --json`` without a MISID: it also says which account was changed."""
    return {
        "organisation_id": change.organisation_id,
        "role": change.role,
        **history_document(change),
    }


def report_document(report: Report, *, is_whole: bool) -> dict[str, Any]:
    """The document of ``syncd report --json``, without details; ``is_whole`` says that nothing in it was purged."""
    return {
        "since": moment(report.since),
        "until": moment(report.until),
        "organisations": list(report.organisations),
        "is_whole": is_whole,
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


def report_change_document(change: ChangeEntry) -> dict[str, Any]:
    """An entry of ``each_change`` of ``syncd report --details --json``."""
    return {
        "run": change.run_id,
        "at": moment(change.at),
        "organisation_id": change.organisation_id,
        "role": change.role,
        "misid": change.misid,
        "user_id": change.user_id,
        "action": change.action,
        "fields": list(change.fields),
        "outcome": change.outcome,
    }


def report_held_document(entry: HeldEntry) -> dict[str, Any]:
    """An entry of ``each_held`` of ``syncd report --details --json``."""
    return {
        "organisation_id": entry.organisation_id,
        "role": entry.role,
        "misid": entry.misid,
        "reason": entry.reason,
        "field": entry.field,
        "first_seen_at": moment(entry.first_seen_at),
    }

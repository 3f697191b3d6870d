"""How things stand: what `syncd status` and the status page tell, all of it from the store."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row

from syncd.core.rate import CALLS_PER_MINUTE
from syncd.core.run import OneFileStatus
from syncd.state import accounts, changes, daemons, held_records, runs
from syncd.state.views.progress import progress


def status(
    connection: Connection, organisations: Sequence[int], calls_per_minute: int = CALLS_PER_MINUTE
) -> dict[str, Any]:
    """The document of ``syncd status --json``: JSON-ready, with moments as ISO 8601 text in UTC.

    Of several organisations it tells the newest run, the run that has waited longest, the sums, and each by itself.
    ``calls_per_minute`` is the limit by which a run that is at work goes on.
    """
    each = {
        organisation_id: _status(connection, organisation_id, calls_per_minute) for organisation_id in organisations
    }
    if len(each) == 1:
        return each[organisations[0]]
    one_by_one = list(each.values())
    numbers = ("leavers", "warnings", "in_doubt")
    return {
        "last_run": max(_present(one_by_one, "last_run"), key=itemgetter("run"), default=None),
        "progress": max(_present(one_by_one, "progress"), key=itemgetter("run"), default=None),
        "next_run_at": min(_present(one_by_one, "next_run_at"), default=None),
        "awaiting_approval": min(_present(one_by_one, "awaiting_approval"), key=itemgetter("run"), default=None),
        **{name: dict(sum((Counter(one[name]) for one in one_by_one), Counter())) for name in ("accounts", "held")},
        **{name: sum(one[name] for one in one_by_one) for name in numbers},
        "onefile": max((one["onefile"] for one in one_by_one), key=_gravity),
        "organisations": {str(organisation_id): one for organisation_id, one in each.items()},
    }


def _present(documents: list[dict[str, Any]], name: str) -> list[Any]:
    return [document[name] for document in documents if document[name] is not None]


def _gravity(onefile: str) -> tuple[bool, bool]:
    return onefile.startswith("unreachable"), onefile == "ok"


def _status(connection: Connection, organisation_id: int, calls_per_minute: int) -> dict[str, Any]:
    at_work = progress(connection, organisation_id, calls_per_minute)
    last = runs.last(connection, organisation_id)
    waiting = runs.waiting(connection, organisation_id)
    held, warnings = held_records.counts(connection, organisation_id)
    return {
        "last_run": last and _run(last),
        "progress": at_work and asdict(at_work),
        "next_run_at": moment(daemons.next_run_at(connection, organisation_id)),
        "awaiting_approval": waiting
        and {
            "run": waiting.id,
            "creates": waiting.creates,
            "updates": waiting.updates,
            "leavers": waiting.leavers,
            "reason": waiting.reason,
        },
        "accounts": dict(accounts.count_by_role(connection, organisation_id)),
        "leavers": accounts.leavers(connection, organisation_id),
        "held": dict(held),
        "warnings": warnings,
        "in_doubt": changes.in_doubt(connection, organisation_id),
        "onefile": _onefile(connection, organisation_id),
    }


def moment(at: datetime | None) -> str | None:
    """A moment as JSON has it."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _run(row: Row[Any]) -> dict[str, Any]:
    counts = ("creates", "updates", "leavers", "returners", "held", "warnings", "unchanged")
    outcomes = ("applied", "refused", "in_doubt", "calls")
    return {
        "run": row.id,
        "trigger": row.trigger,
        "state": row.state,
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        **{name: getattr(row, name) for name in (*counts, *outcomes)},
        "reason": row.reason,
    }


def _onefile(connection: Connection, organisation_id: int) -> str:
    was, since = runs.unreachable_since(connection, organisation_id)
    match was:
        case None:
            return "unknown"
        case OneFileStatus.OK:
            return "ok"
        case OneFileStatus.UNREACHABLE:
            return f"unreachable since {moment(since)}"

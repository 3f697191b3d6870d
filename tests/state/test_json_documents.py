"""The JSON documents of the contract: their keys, in their order, and the text of their values."""

import json
from datetime import UTC, datetime
from typing import Any

from syncd.core.accounts import Status
from syncd.core.evidence import Evidence, Likeness
from syncd.core.fields import Role
from syncd.core.identity import Answer
from syncd.core.records import Held, Reason
from syncd.core.run import Action, OneFileStatus, Outcome, RunState, Trigger
from syncd.state import daemons, held_records, runs
from syncd.state.accounts import AccountEntry
from syncd.state.changes import ChangeEntry
from syncd.state.db.store import Store
from syncd.state.held_records import HeldEntry
from syncd.state.views import documents
from syncd.state.views.status import status_by_organisation
from tests.support.sessions import session_on

_HERE, _THERE = 5740, 5741
_AT = datetime(2026, 1, 15, 12, 0, 0, 5000, tzinfo=UTC)
_TEXT = "2026-01-15T12:00:00.005Z"


def _as_text(document: dict[str, Any]) -> str:
    return json.dumps(document)


def test_an_account() -> None:
    account = AccountEntry(_HERE, Role.TRAINEE_ASSESSOR, "T1", None, Status.LEAVER, _AT)
    assert _as_text(documents.account_document(account)) == (
        '{"organisation_id": 5740, "role": "Trainee Assessor", "misid": "T1", "user_id": null, "status": "leaver", '
        f'"synced_at": "{_TEXT}"}}'
    )


def test_a_held_record() -> None:
    held = HeldEntry(
        _HERE, Role.LEARNER, "L1", "learners", 0, Reason.DUPLICATE_KEY, "MISID", "twice", is_warning=False,
        first_seen_at=_AT,
    )  # fmt: skip
    assert _as_text(documents.held_document(held)) == (
        '{"organisation_id": 5740, "role": "Learner", "misid": "L1", "reason": "duplicate_key", "field": "MISID", '
        '"detail": "twice", "feed": "learners", "other": null, "user_id": null, "evidence": null, "answer": null, '
        f'"first_seen_at": "{_TEXT}"}}'
    )


def test_a_question_about_a_person() -> None:
    held = HeldEntry(
        _HERE, Role.LEARNER, "L1", "learners", 0, Reason.REKEYED, "MISID", "looks", is_warning=False, first_seen_at=_AT,
        other="L0", user_id=7, evidence=Evidence(Likeness.LIKELY, ("ULN",), ("LastName", "DOB")), answer=Answer.SAME,
    )  # fmt: skip
    assert _as_text(documents.held_document(held)).endswith(
        '"other": "L0", "user_id": 7, "evidence": {"likeness": "likely", "equal": ["ULN"], "differ": ["LastName", '
        f'"DOB"]}}, "answer": "same", "first_seen_at": "{_TEXT}"}}'
    )


def test_a_change() -> None:
    change = ChangeEntry(
        1, 2, _AT, _HERE, Role.LEARNER, "L1", 7, Action.UPDATE, ("Email", "ULN"), Outcome.IN_DOUBT, 3, None, "why"
    )
    of_one = (
        f'"run": 2, "at": "{_TEXT}", "misid": "L1", "user_id": 7, "action": "update", "fields": ["Email", "ULN"], '
        '"outcome": "in_doubt", '
        '"attempts": 3, "http_status": null, "detail": "why"}'
    )
    assert _as_text(documents.history_document(change)) == "{" + of_one
    assert _as_text(documents.change_document(change)) == ('{"organisation_id": 5740, "role": "Learner", ' + of_one)


def test_the_status_of_one_organisation_and_of_two(store: Store) -> None:
    with store.begin() as connection:
        daemons.register(session_on(connection, _HERE, _AT), "host", 1)
        daemons.note_next_run(session_on(connection, _HERE), _AT)
        number = runs.start(session_on(connection, _HERE, _AT), Trigger.SCHEDULE)
        runs.stop(session_on(connection, _HERE, _AT), number, "too many", onefile=OneFileStatus.OK, totals={})
        failed = runs.start(session_on(connection, _THERE, _AT), Trigger.COMMAND)
        runs.finish(
            session_on(connection, at=_AT), failed, RunState.FAILED, reason="gone", onefile=OneFileStatus.UNREACHABLE
        )
        held_records.hold(
            session_on(connection, at=_AT), Held(_THERE, Role.LEARNER, "L1", "learners", Reason.MISSING, "ULN", "no")
        )
        one = documents.status_document(status_by_organisation(session_on(connection), [_HERE]))
        two = documents.status_document(status_by_organisation(session_on(connection), [_HERE, _THERE]))
    nothing = dict.fromkeys(("creates", "updates", "leavers", "archivings"), 0)
    names = ("returners", "held", "warnings", "unchanged", "applied", "refused", "in_doubt", "queued")
    none_yet = dict.fromkeys(names, 0)
    assert _as_text(one) == _as_text(
        {
            "last_run": {
                "run": number,
                "trigger": "schedule",
                "state": "awaiting_approval",
                "started_at": _TEXT,
                "finished_at": _TEXT,
                **nothing,
                **none_yet,
                "calls": 0,
                "reason": "too many",
            },
            "progress": None,
            "next_run_at": _TEXT,
            "awaiting_approval": {"run": number, **nothing, "reason": "too many"},
            "accounts": {},
            "leavers": 0,
            "held": {},
            "warnings": 0,
            "in_doubt": 0,
            "drift": None,
            "as_of": None,
            "suspended": [],
            "onefile": "ok",
        }
    )
    assert list(two) == [*one, "organisations"]
    assert two["organisations"][str(_HERE)] == one
    assert (two["last_run"]["run"], two["awaiting_approval"]["run"]) == (failed, number)
    assert (two["held"], two["onefile"], two["next_run_at"]) == ({"missing": 1}, f"unreachable since {_TEXT}", _TEXT)

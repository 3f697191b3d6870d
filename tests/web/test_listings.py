"""The endpoints that list runs, held records and accounts: page by page, filtered, as the schemas describe."""

from datetime import UTC, datetime
from typing import Any

import pytest

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.core.records import Held, Key, Reason, Warned
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.core.scope import EVERYONE
from syncd.state import accounts, changes, held_records, runs
from syncd.state.db.store import Store
from syncd.web.app import make_app
from syncd.web.schemas import AccountDetails, AccountPage, Exact, HeldPage, Problem, RunDetails, RunPage
from tests.support.clocks import Clock
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .visitor import GUARDED, TOKEN, Visitor

OTHER = 5741
_NOW = datetime.now(UTC)


@pytest.fixture
def api(store: Store) -> Visitor:
    """A college with runs, held records, warnings and accounts in two organisations."""
    with store.begin() as connection:
        for organisation_id in (ORGANISATION, OTHER):
            session = session_on(connection, organisation_id, _NOW)
            quiet = runs.start(session, Trigger.SCHEDULE)
            runs.finish(session, quiet, RunState.FINISHED)
            busy = runs.start(session, Trigger.COMMAND, "ann")
            for misid, user_id in (("L1", 101), ("L/2", 102), ("L3", 103)):
                _create(session, busy, Key(organisation_id, Role.LEARNER, misid), user_id)
            runs.finish(session, busy, RunState.FAILED, reason="OneFile cannot be reached")
            held_records.replace(
                session,
                [
                    Held(organisation_id, Role.LEARNER, "L3", "learners", Reason.REFUSED, "", "refused"),
                    Held(organisation_id, Role.ASSESSOR, "A9", "staff", Reason.MISSING, "Email", ""),
                ],
                [Warned(Key(organisation_id, Role.LEARNER, "L1"), "learners", Reason.UNUSABLE, "ULN", "")],
                EVERYONE,
            )
    return Visitor(make_app(store, [ORGANISATION, OTHER], GUARDED, Clock(_NOW)), takes="*/*")


def _create(session: Any, run: int, key: Key, user_id: int) -> None:
    number = changes.record_intent(
        session, run, key, Action.CREATE, {"FirstName": "Zz-value"}, user_id=None, feed="learners", fingerprint="f"
    )
    accounts.save(session, key, user_id=user_id, accepted={"FirstName": "Zz-value"}, feed="learners", fingerprint="f")
    changes.record_outcome(session, number, Outcome.APPLIED, http_status=200, user_id=user_id)


def _get(api: Visitor, path: str, model: type[Exact], status: int = 200) -> Any:
    answer = api.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == status, answer.text
    assert "Zz-value" not in answer.text
    model.model_validate_json(answer.text)
    return answer.json()


def test_runs_are_listed_newest_first_without_quiet_ones(api: Visitor) -> None:
    page = _get(api, "/api/runs", RunPage)
    assert (page["count"], page["first"]) == (2, 0)
    assert [(each["run"], each["organisation_id"], each["asked_by"]) for each in page["runs"]] == [
        (4, OTHER, "ann"),
        (2, ORGANISATION, "ann"),
    ]


@pytest.mark.parametrize(
    ("query", "numbers", "count"),
    [
        ("quiet=true", [4, 3, 2, 1], 4),
        ("quiet=true&limit=2", [4, 3], 4),
        ("quiet=true&limit=2&first=3", [1], 4),
        ("quiet=true&first=9", [], 4),
        ("state=failed", [4, 2], 2),
        ("state=rejected", [], 0),
        ("quiet=true&trigger=schedule", [3, 1], 2),
        (f"organisation_id={ORGANISATION}", [2], 1),
    ],
)
def test_runs_can_be_filtered_and_paged(api: Visitor, query: str, numbers: list[int], count: int) -> None:
    page = _get(api, f"/api/runs?{query}", RunPage)
    assert ([each["run"] for each in page["runs"]], page["count"]) == (numbers, count)


def test_one_run_has_the_numbers_of_its_changes(api: Visitor) -> None:
    run = _get(api, "/api/runs/2", RunDetails)
    assert run["changes"] == {"create": {"applied": 3}}
    assert (run["state"], run["reason"]) == ("failed", "OneFile cannot be reached")
    for number in ("7", "0", "9" * 40):
        assert _get(api, f"/api/runs/{number}", Problem, 404)["error"] == f"There is no run {number}."


@pytest.mark.parametrize(
    ("query", "misids"),
    [
        ("", ["A9", "A9", "L3", "L3"]),
        (f"organisation_id={OTHER}", ["A9", "L3"]),
        ("role=Assessor", ["A9", "A9"]),
        ("reason=refused", ["L3", "L3"]),
        ("misid=L3&role=Assessor", []),
        ("limit=1&first=1", ["A9"]),
        ("warnings=true", ["L1", "L1"]),
    ],
)
def test_held_records_can_be_filtered_and_paged(api: Visitor, query: str, misids: list[str]) -> None:
    page = _get(api, f"/api/held?{query}", HeldPage)
    assert [each["misid"] for each in page["held"]] == misids
    assert page["count"] == (4 if "limit" in query else len(misids))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("limit=3", [("L/2", ORGANISATION), ("L/2", OTHER), ("L1", ORGANISATION)]),
        (f"organisation_id={OTHER}&first=1", [("L1", OTHER), ("L3", OTHER)]),
        ("misid=L3", [("L3", ORGANISATION), ("L3", OTHER)]),
        ("role=Assessor", []),
        ("status=archived", []),
    ],
)
def test_accounts_can_be_filtered_and_paged(api: Visitor, query: str, found: list[tuple[str, int]]) -> None:
    page = _get(api, f"/api/accounts?{query}", AccountPage)
    assert [(each["misid"], each["organisation_id"]) for each in page["accounts"]] == found


def test_one_account_has_its_held_entries_and_its_history(api: Visitor) -> None:
    record = _get(api, f"/api/accounts/Learner/L3?organisation_id={OTHER}", AccountDetails)
    assert (record["account"]["user_id"], record["account"]["status"]) == (103, Status.ACTIVE)
    assert record["account"]["organisation_id"] == OTHER
    assert [each["reason"] for each in record["held"]] == ["refused"]
    assert [(each["run"], each["action"], each["fields"]) for each in record["history"]] == [
        (4, "create", ["FirstName"])
    ]
    assert _get(api, "/api/accounts/Learner/L%2F2?first=1", AccountDetails)["history"] == []
    assert _get(api, "/api/accounts/Learner/L1", AccountDetails)["warnings"][0]["field"] == "ULN"


def test_held_record_without_account_is_found(api: Visitor) -> None:
    record = _get(api, "/api/accounts/Assessor/A9", AccountDetails)
    assert (record["account"], record["history"], len(record["held"])) == (None, [], 1)


@pytest.mark.parametrize("path", ["Learner/L9", "Assessor/L1", "Nobody/L1", "Learner/%00"])
def test_unknown_record_is_not_found(api: Visitor, path: str) -> None:
    assert "has this role and MISID" in _get(api, f"/api/accounts/{path}", Problem, 404)["error"]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/runs?state=asleep", "state"),
        ("/api/runs?limit=0", "limit"),
        ("/api/held?reason=mood", "reason"),
        ("/api/held?who=L1", "who"),
        ("/api/accounts?first=-1", "first"),
        ("/api/accounts?organisation_id=9", "organisation_id"),
        ("/api/accounts/Learner/L1?organisation_id=9", "organisation_id"),
    ],
)
def test_invalid_query_is_refused_by_name(api: Visitor, path: str, named: str) -> None:
    assert named in _get(api, path, Problem, 400)["error"]

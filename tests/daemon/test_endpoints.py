"""Asking and approving over HTTP: what is taken, what is refused and how, and from whom."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from syncd.core.guard import Limits
from syncd.state import resync_requests
from syncd.state.db.tables import approval
from syncd.web.app import make_app
from syncd.web.auth.credentials import Credentials
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

OTHER_ORGANISATION = 5741
SECRET = "zz-a-personal-value"
HERE = "http://127.0.0.1:8642"


class Client:
    """Asks the application without a network between."""

    def __init__(self, college: College, organisations: tuple[int, ...] = (ORGANISATION,), token: str = "") -> None:
        self._app = make_app(college.context.store, organisations, Credentials(token), college.clock)

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url=HERE) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self("POST", path, **options)


def _asked_for(college: College, organisation_id: int = ORGANISATION) -> list[tuple[int, str, list[str]]]:
    with college.context.store.begin() as connection:
        waiting = resync_requests.waiting(session_on(connection, organisation_id))
    return [(row.id, row.requested_by, list(row.misids)) for row in waiting]


@pytest.mark.parametrize(
    ("body", "misids"),
    [(b"", []), (b"{}", []), (b'{"misids": ["L1", "L2"]}', ["L1", "L2"]), (b'{"organisation_id": 5740}', [])],
)
def test_resync_request_is_accepted_and_answered_with_its_number(found: Found, body: bytes, misids: list[str]) -> None:
    college = found()
    answer = Client(college).post("/api/resync", content=body)
    assert answer.status_code == 202
    assert _asked_for(college) == [(answer.json()["request"], "api", misids)]


def test_resync_covers_every_organisation_or_only_the_named_one(found: Found) -> None:
    college = found()
    client = Client(college, (ORGANISATION, OTHER_ORGANISATION))
    for_all = client.post("/api/resync").json()
    for_one = client.post("/api/resync", json={"organisation_id": OTHER_ORGANISATION}).json()
    (here,) = _asked_for(college)
    there = _asked_for(college, OTHER_ORGANISATION)
    assert for_all["request"] == for_all["organisations"][str(ORGANISATION)]["request"] == here[0]
    assert [for_all["organisations"][str(OTHER_ORGANISATION)]["request"], for_one["request"]] == [
        number for number, *_ in there
    ]


@pytest.mark.parametrize(
    "body",
    [
        f'{{"misids": "{SECRET}"}}',
        f'{{"misids": ["{SECRET}", 1]}}',
        f'{{"misids": ["{SECRET}", ""]}}',
        f'{{"{SECRET}": []}}',
        f'["{SECRET}"]',
        f'{{"misids": ["{SECRET}"',
        '{"organisation_id": 987654}',
        '{"organisation_id": "5740"}',
        '{"organisation_id": true}',
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_malformed_body_is_refused_without_repeating_its_content(found: Found, body: str | bytes) -> None:
    college = found()
    answer = Client(college).post("/api/resync", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")
    assert SECRET not in answer.text
    assert "987654" not in answer.text
    assert _asked_for(college) == []


def test_a_stopped_run_is_approved_once(found: Found) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=1))
    college.enrol("L1", "L2")
    stopped = college.run().run
    client = Client(college, (OTHER_ORGANISATION, ORGANISATION))

    answer = client.post(f"/api/runs/{stopped}/approve")
    again = client.post(f"/api/runs/{stopped}/approve")

    expected = {"run": stopped, "creates": 2, "updates": 0, "leavers": 0, "archivings": 0, "waiting": 0}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert (again.status_code, again.json()["error"]) == (
        409,
        "No run waits for approval; 'syncd status' shows the last one.",
    )
    with college.context.store.begin() as connection:
        assert connection.scalars(select(approval.c.approved_by)).all() == ["api"]
    assert college.run().is_in_sync


def test_another_run_than_the_one_that_waits_is_not_approved(found: Found) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=1))
    college.enrol("L1", "L2")
    stopped = college.run().run
    answer = Client(college).post("/api/runs/987654321012345678901/approve")
    assert answer.status_code == 409
    assert f"run {stopped} does" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/api/resync", "/api/runs/1/approve", "/api/runs/1/reject"])
def test_nothing_changes_by_looking(found: Found, path: str) -> None:
    assert Client(found())("GET", path).status_code == 405


@pytest.mark.parametrize("given", ["", "Bearer wrong", "Bearer right "])
@pytest.mark.parametrize("path", ["/api/resync", "/api/runs/1/approve", "/api/runs/1/reject"])
def test_request_without_the_configured_token_is_refused(found: Found, path: str, given: str) -> None:
    college = found()
    headers = {"Authorization": given} if given else {}
    assert Client(college, token="right").post(path, headers=headers).status_code == 401
    assert _asked_for(college) == []


_REBOUND = {"Host": "evil.example:8642", "Origin": "http://evil.example:8642", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8642.evil.example"},
        _REBOUND,
    ],
)
def test_a_page_of_another_site_can_change_nothing(found: Found, headers: Mapping[str, str]) -> None:
    college = found()
    client = Client(college)
    refused = [client.post(path, headers=headers) for path in ("/api/resync", "/api/runs/1/approve")]
    assert [answer.status_code for answer in refused] == [403, 403]
    assert _asked_for(college) == []


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("", {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}),
        ("", {"Host": "localhost:8642", "Origin": "http://localhost:8642"}),
        ("", {"Sec-Fetch-Site": "none"}),
        ("right", {"Host": "syncd.college.example", "Origin": "https://syncd.college.example"}),
    ],
)
def test_a_page_of_its_own_and_a_program_may(found: Found, token: str, headers: Mapping[str, str]) -> None:
    college = found()
    answer = Client(college, token=token).post(
        "/api/resync", headers={**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
    )
    assert answer.status_code == 202

"""The OpenAPI document: whole, and true of what is answered."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from syncd.state import approvals, runs
from syncd.state.db.store import Store
from syncd.web.app import make_app
from syncd.web.schemas import Alive, Decided, Exact, Problem, Ready, Status, Taken
from tests.support.clocks import Clock
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .visitor import GUARDED, OPEN, TOKEN, VIEWERS_TOKEN, Visitor, site, stopped_run

OTHER = 5741
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def _document(store: Store) -> dict[str, Any]:
    document: dict[str, Any] = Visitor(site(store)).get("/api/openapi.json", headers=BEARER).json()
    return document


def test_api_document_describes_exactly_the_routed_endpoints(store: Store) -> None:
    described = {(method, path) for path, methods in _document(store)["paths"].items() for method in methods}
    routed = {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in make_app(store, [ORGANISATION], GUARDED, Clock(datetime.now(UTC))).routes
        if isinstance(route, Route) and not route.path.startswith("/sign-")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == routed


def test_api_document_states_security_and_refusals_of_every_endpoint(store: Store) -> None:
    for path, methods in _document(store)["paths"].items():
        for method, operation in methods.items():
            (token, session) = [each for each in operation["security"] if each]
            assert token == {"token": []}
            assert set(session) == ({"session"} if method == "get" else {"session", "form"})
            assert ({} in operation["security"]) is (path == "/healthz")
            assert {"401", "403"} <= set(operation["responses"])


def test_where_nothing_is_asked_for_the_document_says_so(store: Store) -> None:
    document = Visitor(site(store, OPEN), "http://localhost").get("/api/openapi.json").json()
    assert document["components"]["securitySchemes"] == {}
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["security"] == []
            assert "401" not in operation["responses"]


@pytest.mark.parametrize("organisations", [[ORGANISATION], [ORGANISATION, OTHER]])
def test_what_is_answered_is_what_is_described_and_no_more(store: Store, organisations: list[int]) -> None:
    script = Visitor(make_app(store, organisations, GUARDED, Clock(datetime.now(UTC))), takes="*/*")
    viewer = {"Authorization": f"Bearer {VIEWERS_TOKEN}"}

    def ask(method: str, path: str, headers: dict[str, str] = BEARER) -> httpx.Response:
        return script(method, path, headers=headers)

    answers: list[tuple[int, type[Exact], httpx.Response]] = [
        (200, Status, ask("GET", "/api/status")),
        (202, Taken, ask("POST", "/api/resync")),
        (409, Problem, ask("POST", "/api/runs/1/reject")),
    ]
    stopped = stopped_run(store)
    answers += [
        (200, Status, ask("GET", "/api/status")),
        (200, Decided, ask("POST", f"/api/runs/{stopped}/approve")),
        (200, Decided, ask("POST", f"/api/runs/{stopped_run(store)}/reject")),
        (409, Problem, ask("POST", f"/api/runs/{stopped}/approve")),
        (200, Status, ask("GET", "/api/status")),
        (200, Alive, ask("GET", "/healthz")),
        (200, Ready, ask("GET", "/readyz")),
        (400, Problem, script.post("/api/resync", content=b"?", headers=BEARER)),
        (401, Problem, ask("GET", "/api/status", {})),
        (403, Problem, ask("POST", "/api/resync", viewer)),
        (403, Problem, ask("POST", "/api/resync", BEARER | {"Origin": "http://evil.example"})),
        (404, Problem, ask("POST", "/api/runs/x/approve")),
        (405, Problem, ask("DELETE", "/api/status")),
    ]
    for status, model, answer in answers:
        assert answer.status_code == status, answer.text
        model.model_validate_json(answer.text)


def test_a_rejected_run_does_not_go(store: Store) -> None:
    stopped = stopped_run(store)
    script = Visitor(site(store), takes="*/*")
    answer = script.post(f"/api/runs/{stopped}/reject", headers=BEARER)
    assert answer.json() == {"run": stopped, "creates": 0, "updates": 0, "leavers": 0, "archivings": 0, "waiting": 0}
    assert script.post(f"/api/runs/{stopped}/approve", headers=BEARER).status_code == 409
    with store.begin() as connection:
        assert runs.waiting(session_on(connection, ORGANISATION)) is None
        newest = runs.last(session_on(connection, ORGANISATION))
        assert newest is not None
        assert newest.state == "rejected"
        assert approvals.in_force(session_on(connection, ORGANISATION, datetime.now(UTC)), ["schedule"]) == []


def test_query_parameters_refer_to_schemas_of_the_document(store: Store) -> None:
    document = _document(store)
    parameters = document["paths"]["/api/runs/{run}/plan"]["get"]["parameters"]
    assert [each["name"] for each in parameters] == [
        "run",
        "first",
        "limit",
        "only",
        "action",
        "role",
        "field",
        "misid",
    ]
    for each in parameters[1:]:
        _, *path = each["schema"]["$ref"].split("/")
        found = document
        for part in path:
            found = found[part]
        assert found

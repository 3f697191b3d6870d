"""A simulator, a client with a session, and a clock that tests move."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final

import httpx
import pytest

from syncd.simulator import Simulator, Switches
from tests.support.clocks import Clock
from tests.support.onefile import CLASSROOM, ORGANISATION, PLACEMENT


class Client:
    """Calls a simulator as a client of OneFile does."""

    def __init__(self, onefile: Simulator, http: httpx.Client) -> None:
        self.onefile = onefile
        self.http = http

    def log_in(self) -> httpx.Response:
        answer = self.post("/Authentication", headers={"X-CustomerToken": self.onefile.customer_token})
        self.http.headers["X-TokenID"] = answer.text
        return answer

    def get(self, path: str) -> httpx.Response:
        return self.http.get(self.onefile.base_url + path)

    def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.http.post(self.onefile.base_url + path, json=body, headers=headers)

    def send_form(self, path: str, fields: dict[str, str]) -> httpx.Response:
        return self.http.post(self.onefile.base_url + path, data=fields)

    def control(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self.http.request(method, f"{self.onefile.origin}/simulator{path}", json=body)

    def create(self, fields: dict[str, Any]) -> int:
        answer = self.post("/User", fields)
        assert answer.status_code == 200, answer.text
        number: int = answer.json()["ID"]
        return number

    def search(self, path: str = "/User/Search", **filters: object) -> list[dict[str, Any]]:
        answer = self.post(path, filters)
        assert answer.status_code in {200, 204}, answer.text
        rows: list[dict[str, Any]] = answer.json() if answer.content else []
        return rows


Open = Callable[..., Client]

#: Not used, but httpx makes one for each client, which takes longer than the calls of a test.
_TLS: Final = httpx.create_ssl_context()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_onefile(clock: Clock) -> Iterator[Open]:
    """Starts simulators with switches and seed of the test's choice, and gives a client that is logged in."""
    with ExitStack() as stack:

        def open_one(seed: dict[str, Any] | None = None, **switches: Any) -> Client:
            onefile = stack.enter_context(Simulator(Switches(**switches), seed, clock.timestamp))
            client = Client(onefile, stack.enter_context(httpx.Client(verify=_TLS)))
            client.log_in()
            onefile.journal.clear()
            return client

        yield open_one


@pytest.fixture
def client(open_onefile: Open) -> Client:
    """A client of a simulator with every switch at its default."""
    return open_onefile()


def assessor(**fields: object) -> dict[str, Any]:
    return _person(5, MISID="A1") | fields


def employer(**fields: object) -> dict[str, Any]:
    return _person(40, MISID="E1", PlacementID=PLACEMENT) | fields


def observer(**fields: object) -> dict[str, Any]:
    return employer(Role=45, MISID="O1") | fields


def learner(assessor_id: int, **fields: object) -> dict[str, Any]:
    ids = {"DefaultAssessorID": assessor_id, "ClassroomID": CLASSROOM, "PlacementID": PLACEMENT}
    return _person(1, MISID="L1", **ids) | fields


def _person(role: int, **fields: object) -> dict[str, Any]:
    who = {"FirstName": "Ann", "LastName": "Example", "Email": "ann@example.org"}
    return {"OrganisationID": ORGANISATION, "Role": role, **who, **fields}

import pytest

from syncd.simulator import CUSTOMER_TOKEN, Call
from tests.support.clocks import Clock

from .conftest import Client, assessor


def test_journal_has_each_call_with_its_status(client: Client, clock: Clock) -> None:
    number = client.create(assessor())
    clock.go_on(seconds=5)
    client.get(f"/User/{number}")
    client.post("/user/search/1/10", {"Role": 5})
    client.get("/Nothing")

    calls = client.onefile.journal.calls

    assert [(call.number, call.method, call.path, call.status) for call in calls] == [
        (1, "POST", "/User", 200),
        (2, "GET", f"/User/{number}", 200),
        (3, "POST", "/user/search/1/10", 200),
        (4, "GET", "/Nothing", 404),
    ]
    assert (calls[0].body, calls[1].body) == (assessor(), None)
    assert calls[1].at - calls[0].at == 5
    assert [call.number for call in client.onefile.journal.writes] == [1]
    assert [call.number for call in calls if call.is_search] == [3]


def test_neither_token_nor_session_nor_password_is_ever_in_the_journal(client: Client) -> None:
    session = client.log_in().text
    password = client.post("/User", assessor()).json()["Password"]

    told = repr(client.onefile.journal.calls) + client.control("GET", "/journal").text

    for secret in (CUSTOMER_TOKEN, session, password):
        assert secret not in told


@pytest.mark.parametrize(
    ("method", "path", "is_write"),
    [
        ("POST", "/Authentication", False),
        ("POST", "/authentication", False),
        ("POST", "/User/Search", False),
        ("POST", "/User/search/2/50", False),
        ("GET", "/User/17", False),
        ("POST", "/User", True),
        ("POST", "/User/17", True),
        ("POST", "/User/17/Archive", True),
        ("POST", "/User/17/Unarchive", True),
        ("POST", "/User/17/Assign", True),
        ("POST", "/User/17/AssignPlacement/18928/false", True),
        ("GET", "/Organisation/5740/LearnerStatuses", False),
        ("POST", "/Classroom/Search/1/50", False),
        ("POST", "/Placement/search", False),
        ("GET", "/Placement/17", False),
        ("POST", "/Placement", True),
        ("POST", "/Placement/17", True),
        ("DELETE", "/User/17", True),
    ],
)
def test_a_write_is_what_could_change_something(method: str, path: str, is_write: bool) -> None:
    assert Call(1, 0, method, path, None, 200).is_write is is_write


def test_a_body_that_cannot_be_read_is_not_kept(client: Client) -> None:
    client.http.post(f"{client.onefile.base_url}/User", content=b"{")

    assert [(call.body, call.status) for call in client.onefile.journal] == [(None, 400)]

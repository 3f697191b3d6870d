import httpx
import pytest

from syncd.simulator import CUSTOMER_TOKEN, Simulator
from tests.support.clocks import Clock

from .conftest import Client, Open


def test_the_customer_token_fits_the_46_characters_a_client_has_room_for() -> None:
    assert len(CUSTOMER_TOKEN) == 46


def test_a_session_comes_as_plain_text(client: Client) -> None:
    answer = client.log_in()

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert len(answer.text) > 200


def test_a_wrong_customer_token_is_401(client: Client) -> None:
    assert client.post("/Authentication", headers={"X-CustomerToken": "wrong"}).status_code == 401
    assert client.post("/Authentication").status_code == 401


def test_a_call_without_a_session_is_401(client: Client) -> None:
    del client.http.headers["X-TokenID"]

    assert client.get("/Customer").status_code == 401


def test_a_session_dies_after_24_hours_however_often_it_is_used(client: Client, clock: Clock) -> None:
    clock.go_on(seconds=23.9 * 3600)
    assert client.get("/Customer").status_code == 200

    clock.go_on(seconds=0.2 * 3600)

    assert client.get("/Customer").status_code == 401
    assert client.log_in().status_code == 200
    assert client.get("/Customer").status_code == 200


def test_a_newer_session_does_not_end_an_older_one(client: Client) -> None:
    older = client.http.headers["X-TokenID"]
    client.log_in()
    client.http.headers["X-TokenID"] = older

    assert client.get("/Customer").status_code == 200


def test_a_test_can_end_every_session_at_once(client: Client) -> None:
    client.onefile.expire_sessions()

    assert client.get("/Customer").status_code == 401


def test_an_expired_session_can_be_answered_otherwise(open_onefile: Open, clock: Clock) -> None:
    client = open_onefile(session_seconds=60, expired_session_status=403)
    clock.go_on(seconds=60)

    assert client.get("/Customer").status_code == 403


def test_paths_are_read_in_any_case(client: Client) -> None:
    answer = client.http.get(f"{client.onefile.origin}/API/V2.1/customer")

    assert answer.json() == {"ID": 2070, "Name": "Example Beta Customer"}


@pytest.mark.parametrize("path", ["/Review/1", "/User/1/UnitSummary", "/User/x", "/Standard/1", "/"])
def test_what_the_simulator_leaves_out_is_404(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_there_is_no_put_and_no_delete(client: Client) -> None:
    assert client.http.put(f"{client.onefile.base_url}/User/1", json={}).status_code == 404
    assert client.http.delete(f"{client.onefile.base_url}/User/1").status_code == 404


def test_outside_the_prefix_there_is_nothing(client: Client) -> None:
    assert client.http.get(f"{client.onefile.origin}/Customer").status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])  # noqa: S104 - to be refused
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host=host)


def test_a_stopped_simulator_answers_no_more() -> None:
    with Simulator() as onefile:
        url = f"{onefile.base_url}/Customer"

    with pytest.raises(httpx.ConnectError):
        httpx.get(url)

import time

import httpx
import pytest

from syncd.simulator import Fault, FaultKind
from tests.support.clocks import Clock
from tests.support.polling import wait_until

from .conftest import Client, Open, assessor

KINDS_OF_REFUSAL = {
    FaultKind.THROTTLE: (429, False),
    FaultKind.ERROR_BEFORE: (500, False),
    FaultKind.ERROR_AFTER: (500, True),
    FaultKind.UNAVAILABLE: (503, False),
    FaultKind.RUBBISH: (200, False),
    FaultKind.RUBBISH_AFTER: (200, True),
}


@pytest.mark.parametrize("kind", KINDS_OF_REFUSAL)
def test_a_fault_strikes_once_and_the_work_is_done_or_not_as_its_name_says(client: Client, kind: FaultKind) -> None:
    status, is_done = KINDS_OF_REFUSAL[kind]
    client.onefile.faults.add(Fault(kind))

    answer = client.post("/User", assessor())

    assert answer.status_code == status
    assert answer.text.startswith("<!DOCTYPE html>") is (status == 200)
    assert len(client.onefile.world.users) == int(is_done)
    assert client.post("/User", assessor()).status_code == 200


@pytest.mark.parametrize(("kind", "users"), [(FaultKind.ANSWER, 0), (FaultKind.ANSWER_AFTER, 1)])
@pytest.mark.parametrize("body", [None, 7, "no", {"Message": "no"}, [{"ID": 7}]])
def test_an_answer_that_is_ordered_has_its_body(client: Client, kind: FaultKind, users: int, body: object) -> None:
    client.onefile.faults.add(Fault(kind, body=body))

    answer = client.post("/User", assessor())

    assert (answer.status_code, answer.json()) == (200, body)
    assert len(client.onefile.world.users) == users


@pytest.mark.parametrize(("kind", "users"), [(FaultKind.DROP_BEFORE, 0), (FaultKind.DROP_AFTER, 1)])
def test_a_dropped_connection_is_closed_without_a_byte(client: Client, kind: FaultKind, users: int) -> None:
    client.onefile.faults.add(Fault(kind))

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.post("/User", assessor())

    assert len(client.onefile.world.users) == users
    [call] = client.onefile.journal
    assert (call.status, call.fault) == (None, kind.value)
    assert client.get("/Customer").status_code == 200


def test_a_fault_strikes_only_what_it_is_after_and_only_its_turn(client: Client) -> None:
    client.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, method="post", path="/user", skip=1, times=2))

    assert client.get("/Customer").status_code == 200
    assert [client.post("/User", assessor()).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert client.onefile.faults.pending == []


def test_a_path_may_have_gaps(client: Client) -> None:
    number = client.create(assessor())
    client.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, path="/User/*/Archive"))

    assert client.get(f"/User/{number}").status_code == 200
    assert client.post(f"/User/{number}/Archive").status_code == 503
    assert client.post(f"/User/{number}/Archive").status_code == 204


def test_unavailable_onefile_answers_503_for_a_while_even_to_a_login(client: Client, clock: Clock) -> None:
    client.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, for_seconds=1800, retry_after_seconds=60))

    away = client.log_in()

    assert (away.status_code, away.headers["Retry-After"]) == (503, "60")
    clock.go_on(seconds=1799)
    assert client.get("/Customer").status_code == 503
    clock.go_on(seconds=1)
    assert client.log_in().status_code == 200


def test_a_client_that_gives_up_waiting_does_not_stop_the_work(client: Client) -> None:
    client.onefile.faults.add(Fault(FaultKind.LATENCY, latency_seconds=0.2))

    with pytest.raises(httpx.ReadTimeout):
        client.http.post(f"{client.onefile.base_url}/User", json=assessor(), timeout=0.05)

    assert not client.onefile.world.users
    wait_until(lambda: len(client.onefile.journal) == 1)
    assert len(client.onefile.world.users) == 1


def test_latency_comes_on_top_of_another_fault(client: Client) -> None:
    slow = Fault(FaultKind.LATENCY, latency_seconds=0.05, times=None)
    client.onefile.faults.add(slow, Fault(FaultKind.ERROR_BEFORE))
    began = time.monotonic()

    assert client.get("/Customer").status_code == 500
    assert client.get("/Customer").status_code == 200
    assert time.monotonic() - began >= 0.1
    client.onefile.faults.clear()
    assert client.onefile.faults.pending == []


def test_a_simulator_stops_at_once_though_a_call_still_waits(open_onefile: Open) -> None:
    client = open_onefile()
    client.onefile.faults.add(Fault(FaultKind.LATENCY, latency_seconds=60))
    with pytest.raises(httpx.ReadTimeout):
        client.http.get(f"{client.onefile.base_url}/Customer", timeout=0.05)
    began = time.monotonic()

    client.onefile.__exit__(None, None, None)

    assert time.monotonic() - began < 5


def test_chance_is_the_same_for_the_same_seed(open_onefile: Open) -> None:
    def fates(seed: int) -> list[str | None]:
        client = open_onefile()
        client.onefile.faults.at_random(0.3, seed)
        for _ in range(60):
            try:
                client.get("/Customer")
            except httpx.TransportError:
                continue
        return [call.fault for call in client.onefile.journal]

    fates_of_seven = fates(7)

    assert fates_of_seven == fates(7)
    assert fates_of_seven != fates(8)
    assert 6 < sum(fate is not None for fate in fates_of_seven) < 30


def test_a_rate_that_is_no_chance_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        client.onefile.faults.at_random(2)

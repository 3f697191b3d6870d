"""Each call: what it gives, what it may be repeated for, and what is left in doubt."""

import socket
import threading
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.errors import AnswerLost, CredentialsRefused, OneFileUnreachable, Refused
from syncd.onefile import Names, OneFile, RateLimiter
from syncd.onefile.requests import create, update
from syncd.simulator import ErrorBody, Fault, FaultKind, KeychainBody, LimiterShape, OverCap
from tests.support.clocks import Clock
from tests.support.onefile import ASSESSOR, LEARNER, ORGANISATION, MemoryRateLimit

from .conftest import Open, Pair


def _create(pair: Pair) -> Any:
    return pair.client.create(create(Role.LEARNER, ORGANISATION, LEARNER))


def _writes(pair: Pair) -> list[tuple[str, int | None]]:
    return [(call.path, call.status) for call in pair.simulator.journal.writes]


def _existing(pair: Pair) -> int:
    return len(pair.simulator.world.users_with_misid("L1"))


def test_create_returns_the_user_id_and_its_repr_hides_the_password(opened: Open) -> None:
    pair = opened()
    created, answered = _create(pair)
    assert pair.simulator.world.user(created.user_id).misid == "L1"
    assert (created.password, answered.status, answered.attempts) == (f"never-log-this-{created.user_id}", 200, 1)
    assert created.password not in repr(created)


@pytest.mark.parametrize("body", KeychainBody)
def test_create_with_keychain_on_returns_no_user_id(opened: Open, body: KeychainBody) -> None:
    pair = opened(keychain=True, keychain_body=body)
    created, _ = _create(pair)
    assert created.user_id is None
    assert _existing(pair) == 1


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.ERROR_BEFORE,
        FaultKind.ERROR_AFTER,
        FaultKind.DROP_BEFORE,
        FaultKind.DROP_AFTER,
        FaultKind.UNAVAILABLE,
        FaultKind.RUBBISH,
        FaultKind.RUBBISH_AFTER,
    ],
)
def test_a_create_without_a_clear_answer_is_in_doubt_and_not_repeated(opened: Open, kind: FaultKind) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(kind, path="/User"))
    with pytest.raises(AnswerLost):
        _create(pair)
    assert len(_writes(pair)) == 1
    assert _existing(pair) == kind.lets_work_happen


def test_a_create_that_takes_too_long_is_in_doubt(opened: Open) -> None:
    pair = opened(timeout_seconds=0.2)
    pair.simulator.faults.add(Fault(FaultKind.LATENCY, path="/User", latency_seconds=1))
    with pytest.raises(AnswerLost):
        _create(pair)


@pytest.mark.parametrize(
    "kind", [FaultKind.ERROR_BEFORE, FaultKind.DROP_AFTER, FaultKind.UNAVAILABLE, FaultKind.ERROR_AFTER]
)
def test_an_update_is_repeated_until_it_is_answered(opened: Open, kind: FaultKind) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(kind, path=f"/User/{ASSESSOR}", times=2))
    answered = pair.client.change(update(Role.ASSESSOR, ASSESSOR, {"LastName": "C"}))
    assert (answered.status, answered.attempts) == (204, 3)
    assert pair.simulator.world.user(ASSESSOR).values["LastName"] == "C"


@pytest.mark.parametrize("kind", [FaultKind.RUBBISH, FaultKind.RUBBISH_AFTER])
def test_a_web_page_is_not_taken_for_a_yes_to_an_update(opened: Open, kind: FaultKind) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(kind, path=f"/User/{ASSESSOR}"))
    with pytest.raises(AnswerLost):
        pair.client.change(update(Role.ASSESSOR, ASSESSOR, {"LastName": "C"}))


def test_an_update_that_is_never_answered_is_lost(opened: Open) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(FaultKind.ERROR_BEFORE, path=f"/User/{ASSESSOR}", times=None))
    with pytest.raises(AnswerLost) as lost:
        pair.client.change(update(Role.ASSESSOR, ASSESSOR, {"LastName": "C"}))
    assert (lost.value.status, lost.value.attempts) == (500, 3)


@pytest.mark.parametrize("kind", [FaultKind.ERROR_BEFORE, FaultKind.DROP_BEFORE, FaultKind.UNAVAILABLE])
def test_a_read_is_repeated_and_then_onefile_counts_as_unreachable(opened: Open, kind: FaultKind) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(kind, path="/Organisation/*", times=2))
    assert pair.client.organisation(ORGANISATION).id == ORGANISATION
    pair.simulator.faults.add(Fault(kind, path="/Organisation/*", times=None))
    with pytest.raises(OneFileUnreachable):
        pair.client.organisation(ORGANISATION)


@pytest.mark.parametrize("wording", ErrorBody)
def test_refusal_message_is_read_without_markup_for_each_error_body(opened: Open, wording: ErrorBody) -> None:
    pair = opened(error_body=wording)
    with pytest.raises(Refused) as refusal:
        pair.client.create(create(Role.LEARNER, ORGANISATION, {**LEARNER, "PlacementID": 1}))
    assert refusal.value.status == 400
    assert ("PlacementID" in refusal.value.message) == (wording is not ErrorBody.HTML)
    assert "<" not in refusal.value.message
    assert "PlacementID" not in str(refusal.value)


def test_a_429_before_any_work_is_waited_out_and_the_create_made_once(opened: Open, time: Clock) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(FaultKind.THROTTLE, path="/User", retry_after_seconds=7))
    pair.simulator.faults.add(Fault(FaultKind.THROTTLE, path="/User"))
    _create(pair)
    assert _existing(pair) == 1
    assert pair.throttled[0] == 7
    # Without Retry-After: until a little after the minute has turned.
    assert (pair.throttled[1] + 7) % 60 >= 0.5 or pair.throttled[1] <= 62
    assert sum(time.slept) >= sum(pair.throttled) - 0.001


def test_429_without_end_is_an_unreachable_onefile_and_nothing_is_in_doubt(opened: Open) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(FaultKind.THROTTLE, path="/User", times=None, retry_after_seconds=1))
    with pytest.raises(OneFileUnreachable, match="429"):
        _create(pair)


def test_429_asking_for_a_day_ends_the_call_and_blocks_the_next_ones(opened: Open) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(FaultKind.THROTTLE, path="/User", retry_after_seconds=86_400))
    for _ in range(2):
        with pytest.raises(OneFileUnreachable, match="429"):
            _create(pair)
    assert _writes(pair) == [("/User", 429)]
    assert pair.throttled == [3600]


def test_an_organisation_that_the_token_does_not_see_is_named(opened: Open) -> None:
    with pytest.raises(CredentialsRefused, match=r"9999.*5740 \(Example Organisation - Business\)"):
        opened().client.organisation(9999)


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 130])
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"page_cap": 20, "over_cap": OverCap.CLAMP},
        {"page_cap": 20, "over_cap": OverCap.CUT},
        {"full_rows": True},
    ],
)
def test_search_returns_each_user_once_for_all_page_limits(opened: Open, count: int, switches: dict[str, Any]) -> None:
    pair = opened(**switches)
    people = [{"OrganisationID": ORGANISATION, "Role": 1, "MISID": f"L{number}"} for number in range(count)]
    pair.simulator.sow({"users": people})
    found = [user.misid for user in pair.client.users(ORGANISATION, Role.LEARNER)]
    assert sorted(found) == sorted(f"L{number}" for number in range(count))


def test_search_in_unstable_order_returns_no_user_twice_and_ends(opened: Open) -> None:
    pair = opened(shuffle=True)
    people = [{"OrganisationID": ORGANISATION, "Role": 1, "MISID": f"L{number}"} for number in range(120)]
    pair.simulator.sow({"users": people})
    found = [user.id for user in pair.client.users(ORGANISATION, Role.LEARNER)]
    assert len(found) == len(set(found))


def test_a_search_by_names_returns_those_who_have_both(opened: Open) -> None:
    pair = opened()
    _create(pair)
    pair.client.create(create(Role.LEARNER, ORGANISATION, {**LEARNER, "LastName": "Other"}))
    found = [user.names for user in pair.client.users(ORGANISATION, Role.LEARNER, names=Names("Ann", "Example"))]
    assert found == [Names("Ann", "Example")]


def test_unreadable_search_response_is_retried_and_not_taken_as_empty(opened: Open) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(FaultKind.RUBBISH, path="/User/Search*", times=2))
    assert [user.id for user in pair.client.users(ORGANISATION)] == [ASSESSOR]
    pair.simulator.faults.add(Fault(FaultKind.RUBBISH, path="/User/Search*", times=None))
    with pytest.raises(OneFileUnreachable, match="cannot be understood"):
        list(pair.client.users(ORGANISATION))


def test_unreachable_port_is_reported_as_onefile_unreachable(time: Clock) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rate_limiter = RateLimiter(MemoryRateLimit(), 6000, clock=time, sleep=time.sleep)
    with (
        OneFile(f"http://127.0.0.1:{port}/api/v2.1", "token", rate_limiter, clock=time) as client,
        pytest.raises(OneFileUnreachable, match="cannot be reached") as unreachable,
    ):
        client.create(create(Role.LEARNER, ORGANISATION, LEARNER))
    assert unreachable.value.attempts == 3


def test_calls_run_side_by_side_and_each_has_had_its_turn(opened: Open) -> None:
    pair = opened(limiter=LimiterShape.OFF)
    threads = [threading.Thread(target=pair.client.organisation, args=(ORGANISATION,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pair.client.rate_limiter.calls == len(pair.calls) == 11

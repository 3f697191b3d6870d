"""Logging in: once a day, once more when a session has died, and never over and over."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from syncd.core.fields import Role
from syncd.errors import CredentialsRefused, OneFileUnreachable
from syncd.onefile.requests import create
from syncd.simulator import Fault, FaultKind
from tests.support.clocks import Clock
from tests.support.onefile import LEARNER, ORGANISATION

from .conftest import Open


def _log_ins(calls: list[tuple[str, int | None]]) -> int:
    return sum(path == "/Authentication" for path, _ in calls)


def test_one_log_in_serves_every_call(opened: Open) -> None:
    pair = opened()
    for _ in range(3):
        pair.client.organisation(ORGANISATION)
    assert _log_ins(pair.calls) == 1


def test_many_threads_share_one_log_in(opened: Open) -> None:
    pair = opened()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pair.client.organisation, [ORGANISATION] * 16))
    assert _log_ins(pair.calls) == 1


def test_a_session_is_renewed_before_it_is_a_day_old(opened: Open, time: Clock) -> None:
    pair = opened()
    pair.client.organisation(ORGANISATION)
    time.now += timedelta(hours=23, minutes=1)

    pair.client.organisation(ORGANISATION)

    assert _log_ins(pair.calls) == 2
    assert 401 not in [status for _, status in pair.calls]


def test_a_session_that_died_early_is_renewed_once_for_all_threads(opened: Open) -> None:
    pair = opened()
    pair.client.organisation(ORGANISATION)
    pair.simulator.expire_sessions()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pair.client.organisation, [ORGANISATION] * 8))

    assert _log_ins(pair.calls) == 2


def test_a_create_that_met_a_dead_session_is_made_once(opened: Open) -> None:
    pair = opened()
    pair.client.organisation(ORGANISATION)
    pair.simulator.expire_sessions()

    created, _ = pair.client.create(create(Role.LEARNER, ORGANISATION, LEARNER))

    assert [user.id for user in pair.simulator.world.users_with_misid("L1")] == [created.user_id]


def test_a_second_401_is_a_matter_of_credentials(opened: Open) -> None:
    pair = opened(session_seconds=0)
    with pytest.raises(CredentialsRefused):
        pair.client.organisation(ORGANISATION)
    assert _log_ins(pair.calls) == 2


def test_a_wrong_token_is_said_to_be_one_and_not_repeated(opened: Open) -> None:
    pair = opened(token="not-the-token")
    with pytest.raises(CredentialsRefused, match="SYNCD_ONEFILE__CUSTOMER_TOKEN") as refusal:
        pair.client.organisation(ORGANISATION)
    assert "not-the-token" not in f"{refusal.value}{refusal.value!r}{pair.client!r}"
    assert pair.calls == [("/Authentication", 401)]


@pytest.mark.parametrize("kind", [FaultKind.ERROR_BEFORE, FaultKind.RUBBISH, FaultKind.DROP_BEFORE])
def test_a_log_in_that_fails_is_tried_again_and_nothing_is_in_doubt(opened: Open, kind: FaultKind) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(kind, path="/Authentication"))
    created, answered = pair.client.create(create(Role.LEARNER, ORGANISATION, LEARNER))
    assert created.user_id is not None
    assert answered.attempts == 2


def test_a_log_in_that_goes_on_failing_means_that_nothing_was_done(opened: Open) -> None:
    pair = opened()
    pair.simulator.faults.add(Fault(FaultKind.DROP_BEFORE, path="/Authentication", times=None))
    with pytest.raises(OneFileUnreachable):
        pair.client.create(create(Role.LEARNER, ORGANISATION, LEARNER))
    assert pair.simulator.journal.writes == []

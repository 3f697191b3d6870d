"""Telling people: a web service hears of each trouble and of its end once, and nothing is lost while it is shut."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from pydantic import SecretStr

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.run import Action
from syncd.core.schedule import When
from syncd.core.suspension import ActionKind, Streak
from syncd.errors import ConfigurationError, SyncdError
from syncd.mis import Mis
from syncd.notify.channels import channels_of
from syncd.notify.notifier import Notifier, NotifyPolicy
from syncd.onefile import OneFile
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals, notifications, suspensions
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from tests.support.college import College, Found
from tests.support.inbox import Inbox, open_inbox
from tests.support.onefile import ORGANISATION
from tests.support.polling import wait_until
from tests.support.sessions import session_on

from .daemons import living

SECRET = "zz-inbox-secret"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(SECRET) as inbox:
        yield inbox


def _telling(
    college: College,
    *inboxes: Inbox,
    digest: str = "",
    store: Store | None = None,
    organisations: tuple[int, ...] = (ORGANISATION,),
) -> Notifier:
    addresses = channels_of([SecretStr(inbox.url) for inbox in inboxes])
    occasions = NotifyPolicy(30 * MINUTE, When(digest, timezone="Europe/London"), "Europe/London")
    return Notifier(
        store or college.context.store, organisations, addresses, occasions, college.context.log, college.clock
    )


def _look(telling: Notifier) -> None:
    with telling.leading():
        telling.check()


def _fail(college: College) -> None:
    with pytest.raises(SyncdError):
        college.run()


def test_waiting_run_is_notified_once_across_new_plans_and_processes(found: Found, inbox: Inbox) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=1))
    college.enrol("L1", "L2")
    for _ in range(3):
        college.run()
        telling = _telling(college, inbox)
        _look(telling)
        _look(telling)
    assert inbox.titles == ["syncd: A run waits for approval"]
    assert "2 creates where 0 are allowed" in inbox.messages[0]["message"]
    assert "syncd approve" in inbox.messages[0]["message"]

    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), None, "somebody")
    for _ in range(2):
        _look(_telling(college, inbox))
    assert inbox.titles[1:] == ["syncd: No run waits for approval any more"]


def test_lasting_onefile_outage_is_notified_and_so_is_its_recovery(found: Found, inbox: Inbox) -> None:
    college = found()
    college.enrol("L1")
    telling = _telling(college, inbox)
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    for _ in range(3):
        _fail(college)
        _look(telling)
        college.clock.now += 10 * MINUTE
    assert inbox.titles == []
    _look(telling)
    assert inbox.titles == ["syncd: OneFile has not answered since 15 Jan 2026 12:00"]
    college.onefile.faults.clear()
    college.run()
    _look(telling)
    assert inbox.titles[1:] == ["syncd: OneFile answers again"]


def test_mis_outage_and_wrong_feed_are_notified_separately(found: Found, inbox: Inbox) -> None:
    college = found()
    college.enrol("L1")
    telling = _telling(college, inbox)
    right = college.context
    college.context = replace(right, mis=Mis("postgresql+psycopg://reader:zz-password@127.0.0.1:1/mis"))
    _fail(college)
    college.clock.now += 30 * MINUTE
    _look(telling)
    college.context = right
    college.with_feed("SELECT misid AS MISID, forename AS FirstNam FROM person")
    _fail(college)
    _look(telling)
    college.context = right
    college.run()
    _look(telling)
    assert inbox.titles == [
        "syncd: The MIS has not answered since 15 Jan 2026 12:00",
        "syncd: Runs are failing",
        "syncd: The MIS answers again",
        "syncd: Runs succeed again",
    ]
    assert "FirstNam" in inbox.messages[1]["message"]
    assert "zz-password" not in str(inbox.messages)


def test_refused_token_is_notified_and_not_reported_as_an_outage(found: Found, inbox: Inbox) -> None:
    college = found()
    college.enrol("L1")
    telling = _telling(college, inbox)
    right = college.context
    with OneFile(college.onefile.base_url, "another", right.onefile.rate_limiter, clock=college.clock) as stranger:
        college.context = replace(right, onefile=stranger)
        _fail(college)
    college.clock.now += 60 * MINUTE
    _look(telling)
    college.context = right
    college.run()
    _look(telling)
    assert inbox.titles == [
        "syncd: OneFile refuses the customer token",
        "syncd: OneFile accepts the customer token again",
    ]


def test_newly_held_records_are_notified_once_a_day_without_misids(found: Found, inbox: Inbox) -> None:
    college = found()
    college.clock.now = datetime(2026, 3, 28, 12, tzinfo=UTC)
    college.enrol("L1", email="")
    college.run()
    telling = _telling(college, inbox, digest="0 8 * * *")
    _look(telling)
    assert inbox.titles == [], "what was held before anybody was to be told is nothing new"

    college.enrol("L2", "L3", email="")
    college.enrol("L4", "L4")
    college.clock.now += MINUTE
    college.run()
    # Europe/London puts its clocks forward in this night.
    college.clock.now = datetime(2026, 3, 29, 6, 59, tzinfo=UTC)
    _look(telling)
    assert inbox.titles == []
    college.clock.now += MINUTE
    for _ in range(2):
        _look(_telling(college, inbox, digest="0 8 * * *"))
    assert inbox.titles == ["syncd: 3 records are newly held"]
    assert inbox.messages[0]["message"].splitlines()[:2] == ["1: duplicate key", "2: missing"]
    assert "L2" not in str(inbox.messages)

    college.clock.now += timedelta(days=3)
    _look(telling)
    assert len(inbox.titles) == 1, "a day with nothing new is told of"
    college.enrol("L5", email="")
    college.clock.now += MINUTE
    college.run()
    college.clock.now += timedelta(days=5)
    _look(telling)
    _look(telling)
    assert inbox.titles[1:] == ["syncd: 1 record is newly held"]


def test_failed_notification_is_retried_and_logged_without_its_url(found: Found, inbox: Inbox) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=0))
    college.enrol("L1")
    college.run()
    with open_inbox() as other, structlog.testing.capture_logs() as log:
        telling = _telling(college, inbox, other)
        inbox.is_closed = True
        _look(telling)
        _look(telling)
        assert inbox.knocks == 3, "tried a few times, and then left alone for a while"
        college.clock.now += MINUTE
        _look(telling)
        inbox.is_closed = False
        college.clock.now += 2 * MINUTE
        _look(telling)
        assert len(other.messages) == 1, "who can be told is told once"
    assert inbox.titles == ["syncd: A run waits for approval"]
    assert [line["reason"] for line in log if line["event"] == "notification_failed"] == [
        "URL 1 (JSON) of notify.urls cannot be reached, or did not accept the message."
    ]
    assert SECRET not in str(log)


@pytest.mark.parametrize("leads", [True, False])
def test_unavailable_store_is_notified_once_with_or_without_leadership(found: Found, inbox: Inbox, leads: bool) -> None:
    college = found()
    gone = Store("postgresql://nobody@127.0.0.1:1/gone", ValueCipher())
    telling = _telling(college, inbox, store=gone)
    for _ in range(3):
        with telling.leading() if leads else nullcontext():
            telling.check()
        college.clock.now += 30 * MINUTE
    assert inbox.titles == ["syncd: The state store has been unavailable since 15 Jan 2026 12:00"]


def test_a_daemon_that_waits_for_the_lead_leaves_the_telling_to_the_other(found: Found, inbox: Inbox) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=0))
    college.enrol("L1")
    college.run()
    telling = _telling(college, inbox)
    telling.check()
    assert inbox.titles == []
    _look(telling)
    assert inbox.titles == ["syncd: A run waits for approval"]


def test_each_suspended_kind_of_change_is_notified_once_by_itself(found: Found, inbox: Inbox) -> None:
    college = found()
    creates, updates = (ActionKind(Role.LEARNER, action) for action in (Action.CREATE, Action.UPDATE))

    def check() -> list[str]:
        before = len(inbox.titles)
        for _ in range(2):
            # As after a restart.
            _look(_telling(college, inbox))
        return inbox.titles[before:]

    _suspend(college, creates)
    assert check() == ["syncd: OneFile refuses creates of learners again and again"]
    _suspend(college, updates)
    assert check() == ["syncd: OneFile refuses updates of learners again and again"]
    _resume(college, creates)
    assert check() == ["syncd: OneFile no longer refuses creates of learners again and again"]
    _suspend(college, creates)
    assert check() == ["syncd: OneFile refuses creates of learners again and again"]


def _suspend(college: College, kind: ActionKind) -> None:
    with college.context.session() as session:
        suspensions.save(session, kind, Streak("status 400: no seat", ("L1",), is_suspended=True))


def _resume(college: College, kind: ActionKind) -> None:
    with college.context.session() as session:
        suspensions.end(session, kind)


def test_of_several_organisations_each_is_named(found: Found, inbox: Inbox) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=0))
    college.enrol("L1")
    college.run()
    _look(_telling(college, inbox, organisations=(ORGANISATION, ORGANISATION + 1)))
    assert inbox.titles == ["syncd 5740: A run waits for approval"]


def test_notifications_sent_to_a_removed_address_are_forgotten(found: Found, inbox: Inbox) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=0))
    college.enrol("L1")
    college.run()
    _look(_telling(college, inbox))
    with open_inbox() as other:
        _look(_telling(college, other))
    (key,) = (address.key for address in channels_of([SecretStr(inbox.url)]))
    with college.context.store.begin() as connection:
        assert notifications.sent_to(session_on(connection, ORGANISATION), key) == {}


def test_daemon_notifies_after_a_run_and_a_hung_service_delays_no_run(found: Found, inbox: Inbox) -> None:
    college = found()
    college.with_policy(limits=Limits(floor=0))
    college.enrol("L1")
    with socket.create_server(("127.0.0.1", 0)) as silent, structlog.testing.capture_logs() as log:
        hanging = Inbox(f"json://127.0.0.1:{silent.getsockname()[1]}?rto=60")
        with living(college, every=1, telling=_telling(college, inbox, hanging)):
            wait_until(lambda: bool(inbox.titles))
            ended = _ended(log)
            wait_until(lambda: _ended(log) >= ended + 2)
    assert inbox.titles == ["syncd: A run waits for approval"]


def _ended(log: Sequence[Mapping[str, object]]) -> int:
    return sum(line["event"] == "run_stopped" for line in log)


@pytest.mark.parametrize("url", ["nonsense", "slak://a/b/c", "json://", f"{SECRET}@somewhere", "mailto://"])
def test_a_url_that_apprise_does_not_know_is_named_by_its_place(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        channels_of([SecretStr("json://127.0.0.1"), SecretStr(url)])
    assert str(refusal.value).startswith("notify.urls: Apprise does not recognise URL 2. ")
    assert SECRET not in str(refusal.value)


def test_an_address_shows_nothing_of_its_url() -> None:
    (address,) = channels_of([SecretStr(f"json://{SECRET}:{SECRET}@127.0.0.1/{SECRET}?x={SECRET}")])
    assert SECRET not in f"{address!r} {address} {address.name} {address.key} {vars(address)}"

"""With work waiting, calls leave as fast as OneFile allows, however long it takes to answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

import httpx
import pytest
import structlog
from sqlalchemy import Connection

from syncd.core.decisions import Decision
from syncd.core.fields import Role
from syncd.core.plan import Create, Plan
from syncd.core.records import Key
from syncd.core.run import Outcome, Trigger
from syncd.mis import Mis
from syncd.onefile import OneFile, RateLimiter
from syncd.simulator import LimiterShape, make_limiter
from syncd.state import plan_steps, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.plan_steps import StepToSend, StepToStore
from syncd.state.rate_limit import StoredRateLimit
from syncd.sync.context import Policy, SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.sender import READ_AHEAD, Sender
from syncd.sync.suspensions import Suspensions
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .passing_time import Line, PassingTime

_CALLS_PER_MINUTE = 300
#: What each transaction of the state store takes: a disk that is slow, or a database that is elsewhere.
_SECONDS_TO_COMMIT = 0.005


class _SlowOneFile(httpx.BaseTransport):
    """Takes each call after so many seconds, and counts it in every way in which OneFile may count."""

    def __init__(self, time: PassingTime, latency: float) -> None:
        self._time = time
        self._latency = latency
        self._lock = Lock()
        self._limiters = [
            make_limiter(shape, _CALLS_PER_MINUTE)
            for shape in (LimiterShape.FIXED, LimiterShape.SLIDING, LimiterShape.BUCKET)
        ]
        self.left: list[datetime] = []
        self.turned_away = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            number = len(self.left)
            self.left.append(self._time.now)
            allowed = [limiter.allow(self._time.now.timestamp()) for limiter in self._limiters]
            self.turned_away += sum(seconds is not None for seconds in allowed)
        self._time.sleep(self._latency)
        if request.url.path.endswith("/Authentication"):
            return httpx.Response(200, text="a session")
        return httpx.Response(200, json={"ID": number, "Username": f"u{number}"})


class _SlowStore(Store):
    time: PassingTime

    @contextmanager
    def begin(self, *, relaxed_durability: bool = False) -> Iterator[Connection]:
        with super().begin(relaxed_durability=relaxed_durability) as connection:
            yield connection
        self.time.sleep(_SECONDS_TO_COMMIT)


class _QueueingSender(Sender):
    time: PassingTime

    def _stored_steps(self, positions: range) -> Iterator[StepToSend]:
        # More than that wait until others are sent.
        return self.time.while_queued(super()._stored_steps(positions), READ_AHEAD)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("latency", [0.05, 0.6, 3.0])
def test_ten_minutes_of_changes_take_no_longer_than_the_limit(latency: float, tmp_path: Path) -> None:
    _send(10 * _CALLS_PER_MINUTE, latency, tmp_path)


def test_onefile_with_three_second_answers_is_called_at_full_rate(tmp_path: Path) -> None:
    _send(200, 3.0, tmp_path)


def _send(changes: int, latency: float, folder: Path) -> None:
    time = PassingTime()
    onefile = _SlowOneFile(time, latency)
    store = _SlowStore(f"sqlite:///{folder / 'state.db'}", ValueCipher())
    store.time = time
    store.upgrade()
    rate_limiter = RateLimiter(
        StoredRateLimit(store, "token"), _CALLS_PER_MINUTE, clock=time, sleep=time.sleep, line=Line(time)
    )
    with OneFile("http://127.0.0.1:9/api/v2.1", "token", rate_limiter, clock=time, transport=onefile) as client:
        context = SyncContext(ORGANISATION, Mis("sqlite://"), (), client, store, Policy(), structlog.get_logger(), time)
        with store.begin() as connection:
            run = runs.start(session_on(connection, ORGANISATION, time.now), Trigger.COMMAND)
        # A run has logged in by the time that it sends; of many who wait for a log-in time would know nothing.
        client.user(1)
        lookup = OneFileLookup(client, ORGANISATION, {}, 16)
        sender = _QueueingSender(context, run, lookup, Suspensions(context), lambda _done, _total: None)
        sender.time = time
        creates = tuple(_create(number) for number in range(changes))
        with context.session() as session:
            steps = [StepToStore(create, 1, create.key.misid, Decision.ALLOWED) for create in creates]
            plan_steps.save(session, run, 0, steps)
        sender.send(Plan(creates=creates), range(changes))
    store.close()

    assert sender.tally.outcomes == {Outcome.APPLIED: changes}
    assert onefile.turned_away == 0
    assert len(onefile.left) == changes + 2
    least = timedelta(minutes=changes / _CALLS_PER_MINUTE)
    # The last answer, too, takes what it takes.
    assert time.now - onefile.left[2] <= 1.03 * least + timedelta(seconds=latency)


def _create(number: int) -> Create:
    misid = f"L{number:05}"
    fields = {"MISID": misid, "FirstName": "Ann", "LastName": f"Example-{number}", "Email": f"{misid}@example.org"}
    return Create(Key(ORGANISATION, Role.LEARNER, misid), "learners", dict(fields), fingerprint="f" * 32)

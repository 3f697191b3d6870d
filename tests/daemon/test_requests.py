"""Runs that somebody asks for: soon, once for all who ask, after what is at work, and never lost."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import Row, select

from syncd.core.guard import Limits
from syncd.core.run import Trigger
from syncd.core.scope import EVERYONE, Scope
from syncd.daemon import daemon
from syncd.mis import Mis
from syncd.operations.verify import verify_once
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals, resync_requests
from syncd.state.db.tables import approval, change, resync_request, run
from syncd.state.runs import RunSummary
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.polling import wait_until
from tests.support.sessions import session_on

from .daemons import LOOK_AGAIN_SECONDS, living

OTHER_ORGANISATION = 5741


def _ask(college: College, *misids: str, organisation_id: int = ORGANISATION) -> int:
    with college.context.store.begin() as connection:
        return resync_requests.add(session_on(connection, organisation_id, datetime.now(UTC)), "somebody", misids)


def _answer(college: College, request: int) -> RunSummary | None:
    with college.context.store.begin() as connection:
        return resync_requests.answering_run(session_on(connection), request)


def _answered(college: College, request: int) -> RunSummary:
    wait_until(lambda: _answer(college, request) is not None)
    answer = _answer(college, request)
    assert answer
    return answer


def _runs(college: College, *triggers: Trigger) -> Sequence[Row[Any]]:
    with college.context.store.begin() as connection:
        return connection.execute(select(run).where(run.c.trigger.in_(triggers)).order_by(run.c.id)).all()


def _wait_for_the_first_poll(college: College) -> None:
    wait_until(lambda: any(poll.finished_at for poll in _runs(college, Trigger.SCHEDULE)))


def _changes(college: College) -> Sequence[Row[Any]]:
    with college.context.store.begin() as connection:
        return connection.execute(select(change)).all()


def _slow_down(college: College, seconds: float) -> None:
    college.onefile.faults.add(Fault(FaultKind.LATENCY, times=None, latency_seconds=seconds))


def _is_at_work(college: College, trigger: Trigger) -> Callable[[], bool]:
    return lambda: any(one.state == "running" for one in _runs(college, trigger))


def test_the_daemon_begins_within_two_seconds(found: Found) -> None:
    college = found()
    waits = []
    with living(college, look_again_seconds=daemon.LOOK_AGAIN_SECONDS):
        _wait_for_the_first_poll(college)
        for _ in range(3):
            request = _ask(college)
            answer = _answered(college, request)
            with college.context.store.begin() as connection:
                asked_at = connection.scalar(
                    select(resync_request.c.requested_at).where(resync_request.c.id == request)
                )
            assert asked_at is not None
            assert answer.trigger == "request"
            waits.append(answer.started_at - asked_at)
    # A machine that does something else meanwhile does so less than three times.
    assert min(waits) < timedelta(seconds=2)


def test_run_keeps_the_names_of_all_its_callers(found: Found) -> None:
    college = found()
    with living(college):
        _wait_for_the_first_poll(college)
        now = datetime.now(UTC)
        with college.context.store.begin() as connection:
            requests = [
                resync_requests.add(session_on(connection, ORGANISATION, now), who, [])
                for who in ("Morgan", "Ann", "Morgan")
            ]
        assert {_answered(college, request).asked_by for request in requests} == {"Ann, Morgan"}


def test_waiting_requests_share_one_run_for_only_the_misids_they_name(found: Found) -> None:
    college = found()
    with living(college):
        _wait_for_the_first_poll(college)
        college.enrol("L1", "L2", "L3")
        now = datetime.now(UTC)
        with college.context.store.begin() as connection:
            requests = [
                resync_requests.add(session_on(connection, ORGANISATION, now), "somebody", misids)
                for misids in (["L1"], ["L2", "L1"])
            ]
        answers = {_answered(college, request).id for request in requests}
    assert len(answers) == len(_runs(college, Trigger.REQUEST)) == 1
    assert [len(college.in_onefile(misid)) for misid in ("L1", "L2", "L3")] == [1, 1, 0]


def test_a_daemon_that_waits_leaves_the_requests_to_the_one_that_works(found: Found) -> None:
    college = found()
    with structlog.testing.capture_logs() as log, living(college):
        _wait_for_the_first_poll(college)
        with living(college):
            _answered(college, _ask(college))
    assert sum(line["event"] == "daemon_started" for line in log) == 1
    assert len(_runs(college, Trigger.REQUEST)) == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_a_process_that_is_asked_passes_it_on_whether_it_works_or_waits(found: Found, is_first: bool) -> None:
    college = found()
    asked = threading.Event()
    with living(college, asked=asked if is_first else None):
        _wait_for_the_first_poll(college)
        with living(college, asked=None if is_first else asked):
            asked.set()
            wait_until(lambda: any(one.finished_at for one in _runs(college, Trigger.REQUEST)))
    with college.context.store.begin() as connection:
        assert connection.scalars(select(resync_request.c.requested_by)).all() == ["signal"]


def test_a_onefile_that_is_down_is_an_answer_and_does_not_keep_it_waiting(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    # The poll sits out a pause that is longer than this test.
    with living(college, pauses=(3600,)):
        _wait_for_the_first_poll(college)
        answer = _answered(college, _ask(college))
        time.sleep(3 * LOOK_AGAIN_SECONDS)
    assert answer.state == "failed"
    assert answer.reason
    assert len(_runs(college, Trigger.REQUEST)) == 1


def test_run_that_fails_for_an_unknown_reason_is_not_repeated(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    college = found()
    with living(college):
        _wait_for_the_first_poll(college)
        monkeypatch.setattr(Mis, "connect", _break)
        _answered(college, _ask(college))
        time.sleep(3 * LOOK_AGAIN_SECONDS)
    assert len(_runs(college, Trigger.REQUEST)) == 1


def _break(*_: object) -> None:
    raise RuntimeError


def test_interrupted_run_leaves_its_request_to_the_next_daemon(found: Found) -> None:
    college = found()
    with living(college):
        _wait_for_the_first_poll(college)
        college.enrol(*(f"L{number}" for number in range(30)))
        _slow_down(college, 0.3)
        request = _ask(college)
        wait_until(_is_at_work(college, Trigger.REQUEST))
    assert [one.state for one in _runs(college, Trigger.REQUEST)] == ["interrupted"]
    assert _answer(college, request) is None

    college.onefile.faults.clear()
    with living(college):
        answer = _answered(college, request)
    assert answer.state == "finished"


def test_request_during_a_poll_gets_its_own_run_afterwards(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(10)))
    _slow_down(college, 0.3)
    with living(college):
        wait_until(_is_at_work(college, Trigger.SCHEDULE))
        answer = _answered(college, _ask(college))
    (poll,) = _runs(college, Trigger.SCHEDULE)
    assert answer.trigger == "request"
    assert answer.started_at >= poll.finished_at


def test_long_run_pauses_for_a_named_request_and_keeps_its_approval(found: Found) -> None:
    college = found()
    misids = [f"L{number}" for number in range(40)]
    college.enrol(*misids)
    college.with_policy(limits=Limits(floor=5), max_in_flight=2)
    college.run()
    with college.context.store.begin() as connection:
        approvals.approve(session_on(connection, ORGANISATION, college.clock()), None, "Morgan")
    # The daemon goes by the time of this machine, for which the approval would have lapsed.
    with college.context.store.begin() as connection:
        connection.execute(approval.update().values(expires_at=datetime.now(UTC) + timedelta(hours=1)))
    _slow_down(college, 0.15)

    with living(college):
        wait_until(lambda: len(college.onefile.journal.writes) > 4)
        answer = _answered(college, _ask(college, "L23"))
        sent_by_then = len(college.onefile.journal.writes)
        wait_until(lambda: len(college.onefile.journal.writes) >= len(misids))
        wait_until(lambda: _runs(college, Trigger.SCHEDULE)[-1].state == "finished")

    polls = _runs(college, Trigger.SCHEDULE)
    assert [one.state for one in polls] == ["interrupted", "finished"]
    assert "paused for a more urgent run" in polls[0].reason
    assert (answer.trigger, answer.state, answer.applied) == ("request", "finished", 1)
    assert sent_by_then < len(misids) * 3 / 4
    created = [call.body["MISID"] for call in college.onefile.journal.writes]
    assert sorted(created) == sorted(misids)
    # Who waited at the line has not been called for, so nothing of it is in doubt.
    assert college.in_doubt == 0
    assert {each.outcome for each in _changes(college)} == {"applied", "not_done"}


@pytest.mark.parametrize("every", [3600, pytest.param(1, marks=pytest.mark.slow)])
def test_long_verify_pauses_for_urgent_runs_and_reads_each_account_once(found: Found, every: float) -> None:
    college = found()
    misids = [f"L{number}" for number in range(14)]
    college.enrol(*misids)
    college.with_policy(max_in_flight=2)
    college.run()
    # The next one is long due.
    verify_once(college.context, Trigger.VERIFY)
    ids = {user.id for user in college.onefile.world.users.values() if user.misid in misids}
    college.onefile.journal.clear()
    _slow_down(college, 0.3)
    college.enrol("L20")

    with living(college, every=every, verify=3600):
        wait_until(_is_at_work(college, Trigger.VERIFY))
        college.correct("L1", surname="Married")
        answer = _answered(college, _ask(college, "L1"))
        _, gave_way, *_ = _runs(college, Trigger.VERIFY)
        college.enrol("L21")
        polled = len(_runs(college, Trigger.SCHEDULE))
        wait_until(lambda: [one.state for one in _runs(college, Trigger.VERIFY)].count("finished") == 2)
        polls = [one for one in _runs(college, Trigger.SCHEDULE)[polled:] if one.state == "finished"]

    assert (answer.trigger, answer.state, answer.applied) == ("request", "finished", 1)
    assert gave_way.state == "interrupted"
    assert "paused for a more urgent run" in gave_way.reason
    assert bool(college.in_onefile("L21")) is bool(polls) is (every == 1)
    reads = Counter(call.path for call in college.onefile.journal if call.method == "GET" and "/User/" in call.path)
    assert {path: reads[path] for path in (f"/User/{user_id}" for user_id in ids)} == {
        f"/User/{user_id}": 1 for user_id in ids
    }


@pytest.mark.slow
def test_continual_requests_pause_a_long_run_only_once(found: Found) -> None:
    college = found()
    misids = [f"L{number}" for number in range(30)]
    college.enrol(*misids)
    college.with_policy(max_in_flight=2)
    _slow_down(college, 0.2)
    with living(college):
        wait_until(lambda: len(college.onefile.journal.writes) > 2)
        _answered(college, _ask(college, "L29"))
        for number in range(10):
            _ask(college, f"L{number}")
        wait_until(lambda: all(college.in_onefile(misid) for misid in misids))
        wait_until(lambda: _runs(college, Trigger.SCHEDULE)[-1].state == "finished")
    assert [one.state for one in _runs(college, Trigger.SCHEDULE)] == ["interrupted", "finished"]


def test_of_several_organisations_too_one_run_is_at_work_at_a_time(found: Found) -> None:
    college = found()
    query = college.context.feeds[0].query
    college.with_feed(query.replace("FROM person", f", {ORGANISATION} AS OrganisationID FROM person"))
    college.enrol(*(f"L{number}" for number in range(10)))
    _slow_down(college, 0.3)
    with living(college, organisations=(ORGANISATION, OTHER_ORGANISATION)):
        wait_until(_is_at_work(college, Trigger.SCHEDULE))
        answer = _answered(college, _ask(college, organisation_id=OTHER_ORGANISATION))
    poll, *_ = _runs(college, Trigger.SCHEDULE)
    assert answer.organisation_id == OTHER_ORGANISATION
    assert answer.started_at >= poll.finished_at


def test_requests_are_merged_and_one_for_everyone_covers_everyone(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    with college.context.store.begin() as connection:
        resync_requests.add(session_on(connection, ORGANISATION, college.clock()), "somebody", ["L1"])
        some = resync_requests.waiting(session_on(connection, ORGANISATION))
        resync_requests.add(session_on(connection, ORGANISATION, college.clock()), "somebody", ["L2", "L1"])
        more = resync_requests.waiting(session_on(connection, ORGANISATION))
        resync_requests.add(session_on(connection, ORGANISATION, college.clock()), "somebody")
        all_ = resync_requests.waiting(session_on(connection, ORGANISATION))
    assert [resync_requests.requested_scope(requests) for requests in (some, more, all_)] == [
        Scope.of(["L1"]),
        Scope.of(["L1", "L2"]),
        EVERYONE,
    ]


def test_the_daemon_undoes_a_run_and_continues_an_approved_undo(found: Found) -> None:
    college = found()
    undone = college.run_large_update()
    with living(college):
        _wait_for_the_first_poll(college)
        with college.context.store.begin() as connection:
            session = session_on(connection, ORGANISATION, datetime.now(UTC))
            request = resync_requests.add(session, "somebody", undone_run=undone)
        stopped = _answered(college, request)
        assert (stopped.trigger, stopped.state, stopped.undone_run_id) == ("undo", "awaiting_approval", undone)
        with college.context.store.begin() as connection:
            approvals.approve(session_on(connection, ORGANISATION, datetime.now(UTC)), stopped.id, "Ann")
        poll = _answered(college, _ask(college))
    assert [one.state for one in _runs(college, Trigger.UNDO)] == ["approved", "finished"]
    assert (poll.state, poll.applied, poll.held) == ("finished", 0, 3)
    names = [user.values["LastName"] for misid in ("L1", "L2", "L3") for user in college.in_onefile(misid)]
    assert names == ["Example-L1", "Example-L2", "Example-L3"]

"""A run that takes long: it says how far it has come, and rests in a quiet window."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog

from syncd.core.guard import Counts
from syncd.core.records import Held, Layout, Record, Row
from syncd.core.run import RunState, Trigger
from syncd.core.scope import Scope
from syncd.errors import Interrupted
from syncd.onefile import Yielded
from syncd.simulator import Fault, FaultKind
from syncd.state import resync_requests, runs
from syncd.state.views import status
from syncd.state.views.progress import Progress
from syncd.sync.context import SyncContext
from syncd.sync.resync import run_yielding_to_resyncs
from syncd.sync.run import RunResult, run_once
from tests.support.college import Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_LIMIT = 2
"""Calls a minute, of which syncd makes one."""


def test_long_run_reports_progress_and_makes_no_writes_in_quiet_window(found: Found) -> None:
    # It begins at noon.
    begins, ends = time(12, 15), time(12, 45)
    college = found(syncd_calls_per_minute=_LIMIT, quiet=((begins, ends),))
    college.enrol(*(f"L{number}" for number in range(20)))
    college.with_policy(max_in_flight=1)
    seen: list[Progress] = []

    def look(_done: int, _total: int) -> None:
        with college.context.store.begin() as connection:
            progress = status.status(session_on(connection, ORGANISATION), _LIMIT).progress
            assert progress is not None
            seen.append(progress)

    with structlog.testing.capture_logs() as log:
        done = college.run(progress=look)

    assert (done.state, done.sent) == (RunState.FINISHED, 20)
    assert [(each.begun, each.planned, each.seconds_left) for each in seen] == [
        (number, 20, 60 * (20 - number)) for number in range(1, 21)
    ]
    with college.context.store.begin() as connection:
        assert status.status(session_on(connection, ORGANISATION)).progress is None
    said = [line for line in log if line["event"] == "run_progress"]
    assert [line["seconds_left"] for line in said] == [60 * (20 - line["done"]) for line in said]
    # Every five minutes, and no more often after a rest of half an hour.
    assert 3 <= len(said) <= 4
    called_at = [datetime.fromtimestamp(call.at, UTC) for call in college.onefile.journal.writes]
    assert not [at for at in called_at if begins <= at.time() < ends]
    assert called_at[0].time() < begins < ends <= called_at[-1].time()
    assert called_at[-1] - called_at[0] < timedelta(minutes=20 + 30)


def test_scoped_run_does_not_wait_for_other_change_in_doubt(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path="/User"))
    college.run()
    assert college.in_doubt == 1
    college.enrol("L2")
    began = college.clock.now

    done = college.run(scope=Scope.of(["L2"]))

    assert (done.sent, college.in_doubt) == (1, 1)
    assert college.clock.now - began < timedelta(seconds=1)
    assert college.run().is_in_sync
    assert [len(college.in_onefile(misid)) for misid in ("L1", "L2")] == [1, 1]
    assert college.clock.now - began > timedelta(seconds=30)


def test_run_still_reading_is_interrupted_on_yield_or_stop(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    context = college.context
    to_give_way = replace(context, should_yield=lambda: True)
    to_end = replace(context, is_stopping=lambda: True)
    for college.context, problem in ((to_give_way, Yielded), (to_end, Interrupted)):
        with pytest.raises(problem):
            college.run()
        with context.store.reading() as connection:
            last = runs.last(session_on(connection, ORGANISATION))
        assert last is not None
        assert (last.state, last.creates) == (RunState.INTERRUPTED, 0)
    assert not list(college.onefile.journal)

    college.context = context
    assert college.run().is_in_sync


@pytest.mark.parametrize("mis_is_away", [False, True])
def test_long_run_pauses_for_named_resync_and_finishes_even_if_it_fails(found: Found, mis_is_away: bool) -> None:
    college = found()
    misids = [f"L{number}" for number in range(8)]
    college.enrol(*misids)
    college.with_policy(max_in_flight=1)
    here, away = Path(urlsplit(college.mis_url).path), Path(f"{urlsplit(college.mis_url).path}.away")
    requests: list[int] = []

    def ask(sent: int, _total: int) -> None:
        if sent == 2 and not requests:
            with college.context.store.begin() as connection:
                requests.append(
                    resync_requests.add(session_on(connection, ORGANISATION, college.clock()), "somebody", ["L7"])
                )
            if mis_is_away:
                here.rename(away)

    def work(context: SyncContext) -> RunResult:
        if away.exists():
            away.rename(here)
        return run_once(context, Trigger.COMMAND, progress=ask)

    done = run_yielding_to_resyncs(college.context, work)

    assert done.is_in_sync
    sent = [call.body["MISID"] for call in college.onefile.journal.writes if call.body]
    assert sorted(sent) == misids
    with college.context.store.reading() as connection:
        answer = resync_requests.answering_run(session_on(connection), requests[0])
    assert answer is not None
    assert (answer.trigger, answer.state) == ("request", "failed" if mis_is_away else "finished")
    assert mis_is_away or sent.index("L7") < 5


def test_scoped_run_reads_only_misid_of_records_outside_scope(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(20)))
    assert college.run().sent == 20
    college.withdraw("L3")
    college.correct("L5", surname="Sméth")
    college.correct("L6", surname="Sméth")
    college.enrol("L20", "")
    looked_at: list[str] = []
    read = Layout.read

    def noting(layout: Layout, row: Row, number: int) -> Record | Held:
        looked_at.append(str(row[layout.misid_position]))
        return read(layout, row, number)

    monkeypatch.setattr(Layout, "read", noting)

    done = college.run(scope=Scope.of(["L5", "L3"]))

    assert looked_at == ["L5", ""]
    assert (done.counts, done.sent) == (Counts(0, 1, 1), 1)
    (changed,), (unchanged,) = college.in_onefile("L5"), college.in_onefile("L6")
    assert (changed.values["LastName"], unchanged.values["LastName"]) == ("Sméth", "Example-L6")

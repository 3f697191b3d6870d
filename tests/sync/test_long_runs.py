"""A run that takes long: it says how far it has come, and rests in a quiet window."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import structlog

from syncd.onefile.pace import rate_of
from syncd.simulator import Fault, FaultKind
from syncd.state import overview
from syncd.state.runs import RunState

from .conftest import ORGANISATION, Found

_LIMIT = 2
"""Calls a minute, of which syncd makes one."""


def test_a_long_run_tells_how_far_it_has_come_and_makes_no_call_in_a_quiet_window_in_its_midst(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(20)))
    pacer = college.parts.onefile.pacer
    pacer._rates = [rate_of(_LIMIT)]
    # It begins at noon.
    begins, ends = time(12, 15), time(12, 45)
    pacer._quiet = ((begins, ends),)
    college.with_policy(max_in_flight=1)
    seen: list[dict[str, Any]] = []

    def look(_done: int, _total: int) -> None:
        with college.parts.store.begin() as connection:
            seen.append(overview.status(connection, [ORGANISATION], _LIMIT)["progress"])

    with structlog.testing.capture_logs() as log:
        done = college.run(progress=look)

    assert (done.state, done.sent) == (RunState.FINISHED, 20)
    assert [(each["begun"], each["planned"], each["seconds_left"]) for each in seen] == [
        (number, 20, 60 * (20 - number)) for number in range(1, 21)
    ]
    with college.parts.store.begin() as connection:
        assert overview.status(connection, [ORGANISATION])["progress"] is None
    said = [line for line in log if line["event"] == "run_progress"]
    assert [line["seconds_left"] for line in said] == [60 * (20 - line["done"]) for line in said]
    # Every five minutes, and no more often after a rest of half an hour.
    assert 3 <= len(said) <= 4
    called_at = [datetime.fromtimestamp(call.at, UTC) for call in college.onefile.journal.writes]
    assert not [at for at in called_at if begins <= at.time() < ends]
    assert called_at[0].time() < begins < ends <= called_at[-1].time()
    assert called_at[-1] - called_at[0] < timedelta(minutes=20 + 30)


def test_who_asks_for_one_person_does_not_wait_until_it_is_known_what_became_of_another(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path="/User"))
    college.run()
    assert college.in_doubt == 1
    college.enrol("L2")
    began = college.clock.now

    done = college.run(only=frozenset({"L2"}))

    assert (done.sent, college.in_doubt) == (1, 1)
    assert college.clock.now - began < timedelta(seconds=1)
    assert college.run().is_in_step
    assert [len(college.in_onefile(misid)) for misid in ("L1", "L2")] == [1, 1]
    assert college.clock.now - began > timedelta(seconds=30)

"""A defect of syncd's ends its run as failed, says where it is, and quotes nothing."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
import structlog

from syncd.core.alerts import AlertKind
from syncd.core.run import RunState
from syncd.errors import ThreadsExhausted, Unforeseen
from syncd.state import accounts, runs
from syncd.state.conditions import current_conditions
from syncd.sync.incremental import full_read
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)

_VALUE = "Siân O'Dowd, 01224 555"


def _breaking(*_arguments: Any, **_options: Any) -> None:
    raise KeyError(_VALUE)


def _in_reading(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(full_read, "read_feeds", _breaking)


def _in_sending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(accounts, "save", _breaking)


@pytest.mark.parametrize("break_it", [_in_reading, _in_sending])
def test_defect_fails_the_run_and_is_reported_without_values(
    found: Found, break_it: Callable[[pytest.MonkeyPatch], None]
) -> None:
    college = found()
    college.enrol("L1")
    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as log:
        break_it(patch)
        with pytest.raises(Unforeseen, match=r"\(KeyError\).* defect of syncd") as raised:
            college.run()

    assert _VALUE not in f"{raised.value} {log}"
    (finished,) = (line for line in log if line["event"] == "run_finished")
    assert (finished["state"], finished["log_level"], finished["reason"]) == ("failed", "error", str(raised.value))
    assert finished["where"][-1].startswith("test_defects.py:")
    assert finished["where"][-1].endswith(" _breaking")
    assert _standing(college) == (RunState.FAILED, str(raised.value), {AlertKind.FAILING})

    college.clock.sleep(3600)
    assert college.run().is_in_sync
    assert _standing(college) == (RunState.FINISHED, "", set())
    assert len(college.in_onefile("L1")) == 1


def test_run_without_another_thread_fails_with_the_remedy_and_the_next_one_continues(found: Found) -> None:
    college = found()
    college.enrol("L1")

    def start(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as log:
        patch.setattr(Thread, "start", start)
        with pytest.raises(ThreadsExhausted, match="TasksMax"):
            college.run()
    (finished,) = (line for line in log if line["event"] == "run_finished")
    assert "no more threads" in finished["reason"]
    college.clock.sleep(3600)
    assert college.run().is_in_sync
    assert len(college.in_onefile("L1")) == 1


def _standing(college: College) -> tuple[str, str, set[AlertKind]]:
    with college.context.store.begin() as connection:
        last = runs.last(session_on(connection, ORGANISATION))
        assert last is not None
        return last.state, last.reason, {each.kind for each in current_conditions(session_on(connection, ORGANISATION))}

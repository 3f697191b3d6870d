"""A daemon whose PostgreSQL stands still for a while."""

import pytest
import structlog

from syncd.state.db import postgresql
from tests.support.backends import Backends, backends
from tests.support.college import Found
from tests.support.polling import wait_until

from .daemons import living

__all__ = ["backends"]


@pytest.mark.parametrize("state_url", ["postgres_url"], indirect=True)
def test_daemon_goes_on_when_a_store_that_stood_still_answers_again(
    found: Found, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 1.0)
    college = found()
    college.enrol("L1")
    with structlog.testing.capture_logs() as log, living(college, every=1):
        wait_until(lambda: any(line["event"] == "run_finished" for line in log))
        backends.freeze()
        wait_until(lambda: any(line["event"] in {"poll_failed", "leadership_lost"} for line in log))
        backends.thaw()
        college.enrol("L2")
        wait_until(lambda: len(college.in_onefile("L2")) == 1)
    assert "state_store_replaced" not in {line["event"] for line in log}

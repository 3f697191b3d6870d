"""The heartbeat: an outside watcher hears of each poll that completes, and of no other."""

import socket
import threading
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from syncd.core.guard import Limits
from syncd.core.schedule import Schedule, When
from syncd.daemon.config import DaemonConfig
from syncd.daemon.runner import Runner
from syncd.notify.heartbeat import Heartbeat
from syncd.simulator import Fault, FaultKind
from tests.support.college import College, Found
from tests.support.watcher import Watcher, open_watcher

SECRET = "zz-watcher-secret"


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with open_watcher(SECRET) as opened:
        yield opened


def _runner(college: College, watcher: Watcher, *organisations: int) -> Runner:
    turns = [college.context.for_organisation(each) for each in organisations] or [college.context]
    config = DaemonConfig(
        turns, Schedule(When(), When()), heartbeat=Heartbeat(SecretStr(watcher.url), structlog.get_logger()).beat
    )
    return Runner(config, threading.Event(), threading.Event())


def test_watcher_is_called_after_each_poll_that_completes(found: Found, watcher: Watcher) -> None:
    college = found()
    runner = _runner(college, watcher)
    runner.poll()
    college.enrol("L1")
    college.enrol("L2", email=None)
    runner.poll()
    assert watcher.calls == [f"/{SECRET}"] * 2
    assert college.held == {"L2": "missing"}

    college.with_policy(limits=Limits(floor=0, percent=0))
    college.enrol("L3")
    stopped = _runner(college, watcher)
    stopped.poll()
    assert college.known_id("L3") is None
    # It waits for a person, of whom a notification is sent; the daemon is alive.
    assert len(watcher.calls) == 3


def test_watcher_is_not_called_after_a_poll_that_failed(found: Found, watcher: Watcher) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    runner = _runner(college, watcher)
    assert not runner.poll()
    college.execute("ALTER TABLE person RENAME TO people")
    assert runner.poll()
    assert watcher.calls == []


def test_a_failure_is_logged_once_and_so_is_its_end_and_the_url_never(watcher: Watcher) -> None:
    with structlog.testing.capture_logs() as lines:
        heartbeat = Heartbeat(SecretStr(watcher.url), structlog.get_logger(), timeout_seconds=0.2)
        for status in (500, 404, 200, 200, 503):
            watcher.status = status
            heartbeat.beat()
        watcher.is_silent.set()
        heartbeat.beat()
        watcher.is_silent.clear()
        watcher.status = 204
        heartbeat.beat()
        watcher.is_silent.set()
        heartbeat.beat()
    assert [line["event"] for line in lines] == ["heartbeat_failed", "heartbeat_recovered"] * 2 + ["heartbeat_failed"]
    assert [line["reason"] for line in lines if "reason" in line] == [
        "notify.heartbeat_url: the watcher answered 500",
        "notify.heartbeat_url: the watcher answered 503",
        "notify.heartbeat_url: the watcher did not answer within 0.2 seconds",
    ]
    assert SECRET not in repr(lines) + repr(heartbeat)


@pytest.mark.parametrize("url", ["http://127.0.0.1:PORT/zz-watcher-secret", "http://zz-watcher-secret.invalid:99999/"])
def test_a_watcher_that_cannot_be_reached_fails_nothing(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    with structlog.testing.capture_logs() as lines:
        Heartbeat(SecretStr(url.replace("PORT", port)), structlog.get_logger()).beat()
    assert lines[0]["reason"].startswith("notify.heartbeat_url: the watcher cannot be reached (")
    assert SECRET not in repr(lines)

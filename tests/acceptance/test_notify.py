"""Telling people, with the real program: what arrives at a real web service, and that no URL is ever shown."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support.addresses import free_address
from tests.support.command import Exit, Syncd
from tests.support.inbox import Inbox, open_inbox
from tests.support.polling import wait_until
from tests.support.watcher import open_watcher

_SECRET = "zz-inbox-secret"

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox(_SECRET) as inbox:
        yield inbox


@pytest.mark.slow
def test_a_test_message_goes_to_all_and_it_is_said_of_each_whether_it_went(syncd: Syncd, inbox: Inbox) -> None:
    syncd.environment = {"SYNCD_NOTIFY__URLS": f"{inbox.url} json://{_SECRET}@127.0.0.1:1", "SYNCD_LOG__LEVEL": "debug"}
    tried = syncd("notify", "test")
    assert tried.exit == Exit.COULD_NOT_RUN
    assert tried.stdout == "URL 1 (JSON): sent.\n"
    assert tried.stderr == "URL 2 (JSON) of notify.urls cannot be reached, or did not accept the message.\n"
    assert inbox.titles == ["syncd: This is a test"]

    syncd.environment["SYNCD_NOTIFY__URLS"] = inbox.url
    assert syncd("notify", "test").exit == Exit.IN_STEP


@pytest.mark.slow
def test_missing_or_invalid_notify_url_fails_with_a_clear_message(syncd: Syncd) -> None:
    nobody = syncd("notify", "test")
    assert (nobody.exit, nobody.stderr.count("\n")) == (Exit.COULD_NOT_RUN, 1)
    assert "SYNCD_NOTIFY__URLS" in nobody.stderr
    syncd.environment = {"SYNCD_NOTIFY__URLS": f"nothing://{_SECRET}"}
    for arguments in (("notify", "test"), ("run",)):
        wrong = syncd(*arguments)
        assert wrong.exit == Exit.COULD_NOT_RUN
        assert wrong.stderr.startswith("notify.urls: Apprise does not recognise URL 1.")
        assert _SECRET not in wrong.stderr


@pytest.mark.slow
def test_daemon_notifies_once_of_waiting_run_and_its_end_across_restarts(syncd: Syncd, inbox: Inbox) -> None:
    address = free_address()
    syncd.configure(guard={"floor": 1}, admin={"listen": address})
    syncd.environment = {"SYNCD_NOTIFY__URLS": json.dumps([inbox.url]), "SYNCD_LOG__LEVEL": "debug"}
    for _ in range(2):
        with syncd.start("run") as daemon, httpx.Client(base_url=f"http://{address}") as monitor:
            daemon.wait_until_it_listens(address)
            wait_until(lambda: inbox.titles, "somebody to be told")
            daemon.wait_for_event("run_stopped")
            measured = monitor.get("/metrics").text
            assert daemon.terminate().exit == Exit.IN_STEP
    assert inbox.titles == ["syncd: A run waits for approval"]
    assert 'syncd_onefile_request_duration_seconds_count{answer="ok",endpoint="POST /Authentication"} 1.0' in measured
    used = next(line for line in measured.splitlines() if line.startswith("syncd_allowance_used_ratio "))
    assert float(used.split()[1]) > 0

    assert syncd("approve").exit == Exit.IN_STEP
    with syncd.start("run") as daemon:
        wait_until(lambda: len(inbox.titles) == 2, "somebody to be told that it is over")
        assert daemon.terminate().exit == Exit.IN_STEP
    assert inbox.titles[1] == "syncd: No run waits for approval any more"
    for name, text in syncd.everything_said():
        assert _SECRET not in text, name


@pytest.mark.slow
def test_daemon_calls_the_outside_watcher_after_its_first_poll(syncd: Syncd) -> None:
    with open_watcher(_SECRET) as watcher:
        syncd.environment = {"SYNCD_NOTIFY__HEARTBEAT_URL": watcher.url, "SYNCD_LOG__LEVEL": "debug"}
        with syncd.start("run") as daemon:
            wait_until(lambda: watcher.calls, "a heartbeat")
            assert daemon.terminate().exit == Exit.IN_STEP
    assert watcher.calls == [f"/{_SECRET}"]
    for name, text in syncd.everything_said():
        assert _SECRET not in text, name

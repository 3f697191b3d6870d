"""Asking the daemon for a run: from the command line, over HTTP and by a signal, whether it is there or not."""

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import Engine, Row, create_engine, select, text

from syncd.state.db.tables import resync_request, run
from tests.support.addresses import free_address
from tests.support.command import Exit, Running, Syncd
from tests.support.polling import wait_until
from tests.support.provider.expected import sendable
from tests.support.provider.fixtures import STATES
from tests.support.provider.generator import SIZE, made_up_learners
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile
from tests.support.quiet import quiet_now

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_TOKEN: Final = "zz-an-admin-token"


@contextmanager
def _state(syncd: Syncd) -> Iterator[Engine]:
    url = str(syncd.configuration["state"]["url"])
    engine = create_engine(url.replace("sqlite:///", f"sqlite:///{syncd.folder}/"))
    try:
        yield engine
    finally:
        engine.dispose()


def _answered(syncd: Syncd) -> Sequence[Row[Any]]:
    """The requests that were answered, each with its run."""
    with _state(syncd) as engine, engine.begin() as connection:
        answered = select(resync_request, run.c.started_at, run.c.trigger).join(run).order_by(resync_request.c.id)
        return connection.execute(answered).all()


@contextmanager
def _daemon(syncd: Syncd) -> Iterator[Running]:
    """A daemon that has made its first poll and makes no other."""
    syncd.configure(schedule={"poll": "1h"})
    with syncd.start("run") as daemon:
        wait_until(lambda: {"run_finished", "run_stopped"} & {event["event"] for event in daemon.events}, "a poll")
        yield daemon
        assert daemon.terminate().exit == Exit.IN_STEP


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES, indirect=True)
def test_daemon_starts_resync_in_two_seconds_and_caller_gets_the_outcome(
    mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    misid = onefile.misids[0] or ""

    with _daemon(syncd):
        mis.correct(misid, family_name="Ó Súilleabháin")
        for_one = syncd("resync", "--misid", misid, "--wait")
        for_unknown = syncd("resync", "--misid", "9999", "--wait")
        for_all = syncd("resync", "--wait")
        mis.engine.dispose()
        with mis.engine.begin() as connection:
            connection.execute(text("ALTER TABLE learner RENAME TO away"))
        for_nobody = syncd("resync", "--wait")

    assert (for_one.exit, for_one.stderr) == (Exit.IN_STEP, "")
    assert "1 updated" in for_one.stdout
    assert re.search(rf"^In sync as of \d\d \w{{3}} \d{{4}} \d\d:\d\d \w+: {misid}\.$", for_one.stdout, re.MULTILINE)
    assert onefile.learner(misid).values["LastName"] == "Ó Súilleabháin"
    assert for_unknown.exit == Exit.SOME_HELD
    assert for_unknown.stderr == "No feed contains '9999', and there is no such account.\n"
    assert "In sync" not in for_unknown.stdout
    assert (for_all.exit, for_all.stderr) == (Exit.SOME_HELD, "")
    assert "nothing to send" in for_all.stdout
    assert "held: see 'syncd held'" in for_all.stdout
    assert for_nobody.exit == Exit.COULD_NOT_RUN
    assert "MIS" in for_nobody.stderr
    assert "Traceback" not in for_nobody.stderr
    answered = _answered(syncd)
    assert [row.trigger for row in answered] == ["request"] * 4
    # A machine that does something else meanwhile does so less than four times.
    assert min(row.started_at - row.requested_at for row in answered) < timedelta(seconds=2)


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES, indirect=True)
def test_resync_of_one_misid_during_a_long_run_is_sent_in_two_seconds(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    mis.enrol(made_up_learners(200)[SIZE:])
    misids = sendable(mis)
    syncd.approve_first_run()
    syncd.configure(onefile={"calls_per_minute": 300}, schedule={"poll": "1h"})
    with syncd.start("run") as daemon:
        wait_until(lambda: len(onefile.writes) > 20, "a run that sends")
        urgent = next(misid for misid in reversed(misids) if misid not in onefile.misids)
        asked = syncd("resync", "--misid", urgent, "--wait")
        wait_until(lambda: {*misids} <= {*onefile.misids}, "the rest")
        assert daemon.terminate().exit == Exit.IN_STEP

    assert asked.exit == Exit.IN_STEP, asked.stderr
    (request,) = _answered(syncd)
    (created,) = (call for call in onefile.writes if (call.body or {}).get("MISID") == urgent)
    assert created.at - request.requested_at.timestamp() < 2
    assert sorted(filter(None, onefile.misids)) == sorted(misids)
    ended = [event["state"] for event in daemon.events if event["event"] == "run_finished"]
    assert ended == ["interrupted", "finished", "finished"]


@pytest.mark.slow
def test_manual_sync_without_a_daemon_pauses_for_a_resync_of_one_misid(
    mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    mis.enrol(made_up_learners(200)[SIZE:])
    misids = sendable(mis)
    syncd.configure(onefile={"calls_per_minute": 300})
    with syncd.start("sync", "--approve") as sync:
        wait_until(lambda: len(onefile.writes) > 10, "a run that sends")
        urgent = next(misid for misid in reversed(misids) if misid not in onefile.misids)
        asked = syncd("resync", "--misid", urgent, "--wait")
        done = sync.wait()

    assert asked.exit == Exit.IN_STEP, asked.stderr
    assert "1 created" in asked.stdout
    assert done.exit == Exit.SOME_HELD, done.stderr
    assert sorted(filter(None, onefile.misids)) == sorted(misids)
    (request,) = _answered(syncd)
    assert (request.trigger, request.misids) == ("request", [urgent])
    (created,) = (call for call in onefile.writes if (call.body or {}).get("MISID") == urgent)
    assert created.at - request.requested_at.timestamp() < 5


@pytest.mark.slow
def test_stopped_resync_is_reported_then_approved_over_http_and_sent(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    address = free_address()
    syncd.configure(admin={"listen": address})

    with _daemon(syncd) as daemon:
        stopped = syncd("resync", "--wait")
        waiting = syncd("status", "--json").json["awaiting_approval"]
        daemon.wait_until_it_listens(address)
        path = f"http://{address}/api/runs/{waiting['run']}/approve"
        elsewhere = httpx.post(path, headers={"Origin": "http://other.example", "Sec-Fetch-Site": "cross-site"})
        approved, again = (httpx.post(path) for _ in range(2))
        made = syncd("resync", "--wait")

    assert stopped.exit == Exit.AWAITING_APPROVAL, stopped.stderr
    assert f"Run {waiting['run']} sent nothing and waits for approval" in stopped.stdout
    assert elsewhere.status_code == 403
    creates = len(sendable(mis))
    nothing = dict.fromkeys(("updates", "leavers", "archivings", "waiting"), 0)
    assert approved.json() == {"run": waiting["run"], "creates": creates, **nothing}
    assert again.status_code == 409
    assert made.exit == Exit.SOME_HELD, made.stderr
    assert f"{creates} created" in made.stdout
    assert sorted(filter(None, onefile.misids)) == sorted(sendable(mis))


@pytest.mark.slow
def test_waiting_resync_without_daemon_fails_and_next_daemon_answers_all(mis: Mis, syncd: Syncd) -> None:
    assert syncd("db", "upgrade").exit == Exit.IN_STEP
    waiting = syncd("resync", "--wait")
    asked = syncd("resync", "--misid", "L1")
    assert (waiting.exit, asked.exit) == (Exit.COULD_NOT_RUN, Exit.IN_STEP)
    for each, said in (waiting, waiting.stderr), (asked, asked.stdout):
        assert said.startswith("No daemon is running for organisation "), each
        assert said.endswith(
            "The request waits for the next one, which makes the run when it starts: start 'syncd run'.\n"
        )
        assert "two seconds" not in each.stdout
    assert _answered(syncd) == []

    with _daemon(syncd):
        wait_until(lambda: len(_answered(syncd)) == 2, "both answers")


@pytest.mark.slow
def test_resync_in_a_quiet_window_says_it_starts_after_the_window(syncd: Syncd) -> None:
    syncd.configure(schedule={"quiet": [quiet_now()]})
    assert syncd("db", "upgrade").exit == Exit.IN_STEP
    asked = syncd("resync")
    assert (asked.exit, asked.stderr) == (Exit.IN_STEP, "")
    assert re.search(r"quiet window: .* starts after it, at \d{4}-.*T\d\d:\d\d:00\.000Z", asked.stdout), asked.stdout
    assert _number_of_requests(syncd) == 1


@pytest.mark.slow
def test_caller_that_stops_waiting_leaves_the_resync_request_in_place(mis: Mis, syncd: Syncd) -> None:
    assert syncd("db", "upgrade").exit == Exit.IN_STEP
    with syncd.start("resync", "--wait") as asker:
        wait_until(lambda: _number_of_requests(syncd), "the request")
        asker.process.send_signal(signal.SIGINT)
        left = asker.wait()

    assert left.exit == Exit.COULD_NOT_RUN
    assert "The request stands" in left.stderr
    assert _number_of_requests(syncd) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there is no such signal here")
def test_a_signal_asks_too(mis: Mis, syncd: Syncd) -> None:
    with _daemon(syncd) as daemon:
        daemon.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: _answered(syncd), "an answer")
    assert [(row.requested_by, row.trigger, row.misids) for row in _answered(syncd)] == [("signal", "request", [])]


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", _TOKEN])
def test_a_program_asks_over_http_with_the_token_if_there_is_one(mis: Mis, syncd: Syncd, token: str) -> None:
    address = free_address()
    syncd.configure(admin={"listen": address, "token": token})

    with _daemon(syncd) as daemon:
        daemon.wait_until_it_listens(address)
        url = f"http://{address}/api/resync"
        without = httpx.post(url, json={"misids": ["L1"]})
        with_it = httpx.post(url, json={"misids": ["L2"]}, headers={"Authorization": f"Bearer {_TOKEN}"})
        wait_until(lambda: with_it.json()["request"] in [row.id for row in _answered(syncd)], "an answer")

    assert (without.status_code, with_it.status_code) == (401 if token else 202, 202)
    asked_for = [misid for row in _answered(syncd) for misid in row.misids]
    assert asked_for == (["L2"] if token else ["L1", "L2"])


def _number_of_requests(syncd: Syncd) -> int:
    with _state(syncd) as engine, engine.begin() as connection:
        return len(connection.execute(select(resync_request)).all())

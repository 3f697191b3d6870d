"""The daemon: it looks, it sends, it ends when told to."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import URL, NullPool, create_engine

from tests.support.addresses import free_address
from tests.support.command import SLOW, UNHURRIED, Exit, Syncd
from tests.support.polling import wait_until
from tests.support.provider.expected import sendable
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

on_sqlite = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)


@pytest.mark.slow
def test_it_picks_up_a_change_in_the_mis_and_ends_on_sigterm(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    misid = onefile.misids[0] or ""

    with syncd.start("run") as daemon:
        daemon.wait_for_event("run_finished")
        mis.correct(misid, family_name="Ó Súilleabháin")
        wait_until(lambda: onefile.learner(misid).values["LastName"] == "Ó Súilleabháin", "the change to arrive")
        finished = daemon.terminate()

    assert finished.exit == Exit.IN_STEP, finished.stderr
    assert "Traceback" not in finished.stderr
    assert _landmarks(finished.events) == ["daemon_started", "run_started", "run_finished", "daemon_stopped"]
    for event in finished.events:
        if event["event"] in {"run_started", "run_finished", "change_applied"}:
            assert event["run"]
    (applied,) = (event for event in finished.events if event["event"] == "change_applied")
    assert (applied["misid"], applied["role"], applied["fields"]) == (misid, "Learner", ["LastName"])
    assert applied["user_id"] == onefile.learner(misid).id


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize(
    "onefile", ["without Keychain", pytest.param("with Keychain", marks=pytest.mark.slow)], indirect=True
)
def test_sigterm_in_the_middle_of_a_run_leaves_nothing_in_doubt(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    syncd.approve_first_run()
    syncd.configure(onefile={"calls_per_minute": SLOW})
    with syncd.start("run") as daemon:
        wait_until(lambda: len(onefile.learners) >= 10, "the first creates")
        finished = daemon.terminate()

    assert finished.exit == Exit.IN_STEP, finished.stderr
    created = Counter(onefile.misids)
    assert created.total() < len(sendable(mis)), "the run was over before it could be ended"
    assert syncd("status", "--json").json["in_doubt"] == 0
    assert Counter(account["misid"] for account in syncd("accounts", "--json").json) == created

    syncd.configure(onefile={"calls_per_minute": UNHURRIED})
    assert syncd("sync").exit == Exit.SOME_HELD
    assert Counter(onefile.misids) == Counter(sendable(mis))


@on_sqlite
def test_monitors_can_ask_how_it_is(onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    address = free_address()
    syncd.configure(admin={"listen": address})

    with syncd.start("run") as daemon, httpx.Client(base_url=f"http://{address}") as monitor:
        daemon.wait_for_event("run_finished")
        daemon.wait_until_it_listens(address)
        alive, ready, metrics, status = (
            monitor.get(path) for path in ("/healthz", "/readyz", "/metrics", "/api/status")
        )
        finished = daemon.terminate()

    assert (alive.status_code, ready.status_code) == (200, 200)
    assert metrics.status_code == 200
    assert "# TYPE syncd_" in metrics.text
    assert status.status_code == 200
    assert status.json()["accounts"] == {"Learner": len(onefile.learners)}
    assert finished.exit == Exit.IN_STEP, finished.stderr


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize("where", ["a folder", "a database"])
def test_a_store_that_is_not_there_at_the_start_is_waited_for(
    onefile: OneFile, syncd: Syncd, where: str, request: pytest.FixtureRequest
) -> None:
    address = free_address()
    syncd.configure(admin={"listen": address})
    if where == "a folder":
        folder = syncd.folder / "later"
        syncd.configure(state={"url": "sqlite:///later/state.db"})
        bring: Callable[[], object] = folder.mkdir
    else:
        server: URL = request.getfixturevalue("postgres_server")
        name = f"syncd_{uuid4().hex}"
        syncd.configure(state={"url": server.set(database=name).render_as_string(hide_password=False)})
        bring = partial(_create_database, server, name)

    with syncd.start("run") as daemon, httpx.Client(base_url=f"http://{address}", timeout=30) as monitor:
        unusable = daemon.wait_for_event("state_store_unavailable")
        daemon.wait_until_it_listens(address)
        assert unusable["level"] == "error"
        assert ("later does not exist" if where == "a folder" else name) in unusable["reason"]
        assert monitor.get("/healthz").status_code == 200
        ready = monitor.get("/readyz")
        assert (ready.status_code, ready.json()["state_writable"]) == (503, False)
        assert monitor.get("/api/status").status_code == 503
        bring()
        # The first run waits for an approval, so the store is there.
        daemon.wait_for_event("run_stopped")
        assert monitor.get("/readyz").status_code == 200
        finished = daemon.terminate()

    assert finished.exit == Exit.IN_STEP, finished.stderr
    assert [event["event"] for event in finished.events].count("state_store_unavailable") == 1
    assert syncd("status", "--json").json["awaiting_approval"]


def _create_database(server: URL, name: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")


def _landmarks(events: list[dict[str, str]]) -> list[str]:
    """The events of a daemon's life, each where it first appears."""
    wanted = ("daemon_started", "run_started", "run_finished", "daemon_stopped")
    return list(dict.fromkeys(event["event"] for event in events if event["event"] in wanted))

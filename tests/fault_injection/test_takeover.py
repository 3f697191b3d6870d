"""Two daemons on one PostgreSQL: one works, the other waits, and goes on where the first one ends, however it ends."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import pytest
from sqlalchemy import create_engine

from tests.support.command import UNHURRIED, Exit, Running, Syncd
from tests.support.polling import wait_until
from tests.support.provider.expected import sendable
from tests.support.provider.generator import made_up_learners
from tests.support.provider.mis import FEED, Mis
from tests.support.provider.mis import College as Teaching
from tests.support.provider.onefile import OneFile, onefile_of

pytestmark = pytest.mark.slow

_TAKEN_OVER_WITHIN_SECONDS: Final = 10
_ENOUGH: Final = 5
#: Calls a minute with which a run of ninety creates is still at work once another process has started.
_LEISURELY: Final = 150


@dataclass(frozen=True, slots=True)
class _College:
    """An MIS, a OneFile, and the configuration that every daemon between them shares."""

    mis: Mis
    onefile: OneFile
    syncd: Syncd

    @contextmanager
    def follower(self) -> Iterator[Running]:
        """A daemon that has come as far as it can while another one works."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.syncd.environment["SYNCD_ADMIN__LISTEN"] = address
        with self.syncd.start("run") as daemon:
            del self.syncd.environment["SYNCD_ADMIN__LISTEN"]
            # It says nothing in its log before it leads; it serves its endpoints from just before it first tries to.
            wait_until(lambda: _is_alive(address), "the follower")
            yield daemon

    def assert_made_good(self) -> None:
        """Everybody who can be sent has one account, the store knows whose each is, and nothing is in doubt."""
        assert Counter(self.onefile.misids) == Counter(sendable(self.mis))
        assert self.syncd("status", "--json").json["in_doubt"] == 0
        assert {account["misid"]: account["user_id"] for account in self.syncd("accounts", "--json").json} == {
            learner.misid: learner.id for learner in self.onefile.learners
        }


@pytest.fixture
def college(tmp_path: Path, postgres_url: str) -> Iterator[_College]:
    """Ninety learners in the MIS, none in OneFile, and a state store on PostgreSQL."""
    teaching = Teaching()
    engine = create_engine(f"sqlite:///{tmp_path / 'mis.db'}")
    mis = Mis(engine, teaching)
    mis.enrol(made_up_learners())
    with onefile_of(teaching) as onefile:
        syncd = Syncd(
            tmp_path / "syncd",
            onefile.customer_token,
            {
                "onefile": {
                    "base_url": onefile.base_url,
                    "organisation_id": onefile.organisation_id,
                    "calls_per_minute": UNHURRIED,
                    "settle_seconds": 1,
                },
                "source": {"url": mis.url},
                "state": {"url": postgres_url},
                "schedule": {"poll": "1s", "quiet": []},
                "admin": {"listen": ""},
            },
            FEED,
        )
        syncd.approve_first_run()
        yield _College(mis, onefile, syncd)
    engine.dispose()


def test_killed_leader_is_replaced_in_ten_seconds_without_duplicates(
    college: _College,
) -> None:
    college.syncd.configure(onefile={"calls_per_minute": _LEISURELY})
    with college.syncd.start("run") as leader:
        leader.wait_for_event("daemon_started")
        college.syncd.configure(onefile={"calls_per_minute": UNHURRIED})
        with college.follower() as follower:
            wait_until(lambda: len(college.onefile.learners) >= _ENOUGH, "the first creates")
            killed_at = datetime.now(UTC)
            leader.kill()
            made = len(college.onefile.learners)
            assert made < len(sendable(college.mis)), "the leader was done before it could be killed"
            started = follower.wait_for_event("run_started")
            wait_until(lambda: len(college.onefile.learners) >= len(sendable(college.mis)), "everybody to be there")
            follower.wait_for_event("run_finished", in_doubt=0)
            finished = follower.terminate()

    names = [event["event"] for event in finished.events]
    assert names[0] == "daemon_started"
    assert killed_at < _at(finished.events[0])
    assert (_at(started) - killed_at).total_seconds() < _TAKEN_OVER_WITHIN_SECONDS
    assert (finished.exit, names[-1]) == (Exit.IN_STEP, "daemon_stopped")
    college.assert_made_good()


def test_second_daemon_makes_no_call_until_the_first_ends_then_syncs(
    college: _College,
) -> None:
    college.syncd.configure(schedule={"poll": "1h"})
    with college.syncd.start("run") as leader:
        leader.wait_for_event("run_finished")
        assert college.syncd("sync").exit == Exit.SOME_HELD, "a daemon between two runs is in nobody's way"
        # There is work, which the leader looks for in an hour, and a daemon that starts at once.
        misid = college.onefile.misids[0] or ""
        college.mis.correct(misid, family_name="Ó Súilleabháin")
        calls_before = len(college.onefile.calls)
        with college.follower() as follower:
            # It looks every second whether its turn has come.
            time.sleep(3.5)
            assert (len(college.onefile.calls), follower.events) == (calls_before, [])
            with college.onefile.watched() as calls:
                assert leader.terminate().exit == Exit.IN_STEP
                ended_at = datetime.now(UTC)
                started = follower.wait_for_event("daemon_started")
                follower.wait_for_event("run_finished")
            finished = follower.terminate()

    assert (_at(started) - ended_at).total_seconds() < _TAKEN_OVER_WITHIN_SECONDS
    assert [(call.path, call.body) for call in calls if call.is_write] == [
        (f"/User/{college.onefile.learner(misid).id}", {"LastName": "Ó Súilleabháin"})
    ]
    assert finished.exit == Exit.IN_STEP, finished.stderr
    college.assert_made_good()


def test_terminated_leader_leaves_the_rest_of_its_run_to_the_follower(college: _College) -> None:
    college.syncd.configure(onefile={"calls_per_minute": _LEISURELY})
    with college.syncd.start("run") as leader:
        leader.wait_for_event("daemon_started")
        college.syncd.configure(onefile={"calls_per_minute": UNHURRIED})
        with college.follower() as follower:
            wait_until(lambda: len(college.onefile.learners) >= _ENOUGH, "the first creates")
            ended = leader.terminate()
            follower.wait_for_event("run_finished")
            finished = follower.terminate()

    (interrupted,) = (event for event in ended.events if event["event"] == "run_finished")
    (*_, last) = (event for event in finished.events if event["event"] == "run_finished")
    assert interrupted["state"] == "interrupted", "the leader was done before it was told to end"
    assert not any(event["event"] == "change_settled" for event in finished.events), "something was left in doubt"
    assert last["state"] == "finished"
    college.assert_made_good()


def test_a_run_by_hand_is_refused_while_the_daemon_is_in_one(college: _College) -> None:
    college.syncd.configure(onefile={"calls_per_minute": _LEISURELY})
    with college.syncd.start("run") as daemon:
        wait_until(lambda: college.onefile.learners, "the first create")
        refused = college.syncd("sync")
        assert [event["event"] for event in daemon.events if event["event"].startswith("run_")] == ["run_started"]
        daemon.terminate()

    assert (refused.exit, refused.stdout) == (Exit.LOCKED, "")
    assert "Another run is in progress for organisation" in refused.stderr


def _is_alive(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/healthz").is_success
    except httpx.TransportError:
        return False


def _at(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["at"])

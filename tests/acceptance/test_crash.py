"""Nothing that dies half-way makes a second account."""

from collections import Counter

import pytest

from tests.support.command import SLOW, UNHURRIED, VERY_SLOW, Exit, Syncd
from tests.support.polling import wait_until
from tests.support.provider.expected import sendable
from tests.support.provider.fixtures import STATES
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

_ENOUGH = 20

pytestmark = [
    pytest.mark.parametrize("mis", ["sqlite"], indirect=True),
    pytest.mark.parametrize("state", STATES, indirect=True),
]


def test_a_run_killed_half_way_is_finished_by_the_next_without_a_double(
    mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    syncd.configure(onefile={"calls_per_minute": SLOW, "settle_seconds": 1})
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    assert syncd("approve").exit == Exit.IN_STEP
    with syncd.start("sync") as running:
        wait_until(lambda: len(onefile.learners) >= _ENOUGH, "the first creates")
        running.kill()
    assert len(onefile.learners) < len(sendable(mis)), "the run was over before it could be killed"
    syncd.configure(onefile={"calls_per_minute": UNHURRIED})

    # What the killed run may have created waits until the search shows what the next one creates.
    assert syncd("sync").exit == Exit.SOME_HELD
    finished = syncd("sync")

    assert finished.exit == Exit.SOME_HELD, finished.stderr
    assert Counter(onefile.misids) == Counter(sendable(mis))
    assert syncd("status", "--json").json["in_doubt"] == 0
    assert {account["misid"]: account["user_id"] for account in syncd("accounts", "--json").json} == {
        account.misid: account.id for account in onefile.learners
    }


@pytest.mark.slow
def test_a_second_run_is_refused_while_the_first_is_at_work(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    syncd.configure(onefile={"calls_per_minute": VERY_SLOW})
    with syncd.start("sync", "--approve") as first:
        wait_until(lambda: onefile.learners, "the first create")
        second = syncd("sync")
        assert first.process.poll() is None, "the first run was over too soon to prove anything"
        stopped = first.terminate()

    assert second.exit == Exit.LOCKED, second.stderr
    assert second.stdout == ""
    assert stopped.exit == Exit.COULD_NOT_RUN, stopped.stderr
    assert max(Counter(onefile.misids).values()) == 1

"""Whatever becomes of the MIS, no account is touched unasked, and once it is put right there is nothing to mend."""

from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy import create_engine

from tests.support.command import Exit, Finished, Syncd
from tests.support.provider.expected import expect
from tests.support.provider.generator import SEED, made_up_learners
from tests.support.provider.ilr import Learner
from tests.support.provider.mis import FEED, College, Mis
from tests.support.provider.onefile import OneFile

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("mis", ["sqlite"], indirect=True)]


def _sendable(learners: list[Learner]) -> list[Learner]:
    return [learner for learner in learners if expect(learner, College()).held is None]


#: Nobody among them is held, so that being in step is an exit code.
_PEOPLE: Final = _sendable(made_up_learners())
_STRANGERS: Final = _sendable(made_up_learners(seed=SEED + 1))

_KEY: Final = "learner.learn_ref_number AS MISID"
_SURNAME: Final = "learner.family_name AS LastName"

#: The whole feed fifteen times over, more rows than are fetched at a time, and then a row that cannot be read.
_BROKEN_OFF: Final = f"""
WITH RECURSIVE again(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM again WHERE n < 20)
SELECT feed.* FROM again CROSS JOIN ({FEED}) AS feed
WHERE json(CASE WHEN again.n <= 15 THEN '1' ELSE 'no JSON' END)
"""


@pytest.fixture
def learners() -> list[Learner]:
    """The people of the college."""
    return _PEOPLE


@pytest.fixture
def in_step(syncd: Syncd) -> Syncd:
    """A syncd that has everybody in OneFile, may change a tenth of them, and archives at once whoever leaves."""
    syncd.configure(guard={"floor": 0}, leavers={"action": "archive", "grace_days": 0})
    assert syncd("sync", "--approve").exit == Exit.IN_STEP
    return syncd


@pytest.mark.parametrize(
    ("feed", "reasons"),
    [
        pytest.param(f"{FEED} LIMIT 0", ["87 leavers", "feed learners returned no rows"], id="it is empty"),
        pytest.param(f"{FEED} LIMIT 43", ["44 leavers", "returned 43 rows where it had 87 accounts"], id="half of it"),
        pytest.param(f"{FEED} LIMIT 78", ["9 leavers where 8 are allowed"], id="a little too little of it"),
        pytest.param(FEED.replace(_KEY, "learner.uln AS MISID"), ["87 leavers"], id="another number for the key"),
        pytest.param(FEED.replace(_KEY, "learner.email AS MISID"), ["87 leavers"], id="another text for the key"),
        pytest.param(FEED.replace(_KEY, "'5740' AS MISID"), ["87 leavers"], id="one key for all"),
        pytest.param(FEED.replace(_SURNAME, "'Unknown' AS LastName"), ["87 updates"], id="one surname for all"),
    ],
)
def test_a_feed_gone_wrong_waits_for_a_person(onefile: OneFile, in_step: Syncd, feed: str, reasons: list[str]) -> None:
    in_step.write_feed(feed)

    stopped = _sync_without_a_write(onefile, in_step)

    assert stopped.exit == Exit.AWAITING_APPROVAL, stopped.stderr
    assert all(reason in stopped.stdout for reason in ("sent nothing and waits for approval", *reasons)), stopped.stdout
    in_step.write_feed(FEED)
    _assert_nothing_to_mend(onefile, in_step)


@pytest.mark.parametrize(
    "feed",
    [
        pytest.param(FEED.replace(_SURNAME, "'' AS LastName"), id="every surname is blank"),
        pytest.param(FEED.replace(_SURNAME, "NULL AS LastName"), id="there are no surnames"),
        pytest.param(f"{FEED} JOIN (SELECT 1 UNION ALL SELECT 2) AS twice", id="every row is there twice"),
    ],
)
def test_a_feed_of_which_no_row_can_be_sent_is_held(onefile: OneFile, in_step: Syncd, feed: str) -> None:
    in_step.write_feed(feed)

    finished = _sync_without_a_write(onefile, in_step)

    assert finished.exit == Exit.SOME_HELD, finished.stderr
    assert "87 held: see 'syncd held'" in finished.stdout
    in_step.write_feed(FEED)
    _assert_nothing_to_mend(onefile, in_step)


def test_feed_that_fails_midway_fails_the_run_and_writes_nothing(onefile: OneFile, in_step: Syncd) -> None:
    in_step.write_feed(_BROKEN_OFF)

    failed = _sync_without_a_write(onefile, in_step)

    assert (failed.exit, failed.stdout) == (Exit.COULD_NOT_RUN, "")
    assert failed.stderr.splitlines()[-1].startswith("The feed learners cannot be read from the MIS: ")
    assert "Traceback" not in failed.stderr
    in_step.write_feed(FEED)
    _assert_nothing_to_mend(onefile, in_step)


@pytest.mark.parametrize(
    ("strangers", "reasons"),
    [
        pytest.param(
            _STRANGERS, ["creates where 8 are allowed", "leavers where 8 are allowed"], id="their own numbers"
        ),
        pytest.param(
            [
                replace(stranger, learn_ref_number=ours.learn_ref_number)
                for stranger, ours in zip(_STRANGERS, _PEOPLE, strict=True)
            ],
            ["accounts have become another person's"],
            id="the same numbers",
        ),
    ],
)
def test_another_colleges_mis_waits_for_a_person(
    mis: Mis, onefile: OneFile, in_step: Syncd, strangers: list[Learner], reasons: list[str]
) -> None:
    engine = create_engine(f"sqlite:///{in_step.folder / 'another.db'}")
    another = Mis(engine, College())
    another.enrol(strangers)
    engine.dispose()
    in_step.configure(source={"url": another.url})

    stopped = _sync_without_a_write(onefile, in_step)

    assert stopped.exit == Exit.AWAITING_APPROVAL, stopped.stderr
    assert all(reason in stopped.stdout for reason in ("sent nothing and waits for approval", *reasons)), stopped.stdout
    in_step.configure(source={"url": mis.url})
    _assert_nothing_to_mend(onefile, in_step)


def _sync_without_a_write(onefile: OneFile, syncd: Syncd) -> Finished:
    with onefile.watched() as calls:
        finished = syncd("sync")
    assert [call for call in calls if call.is_write] == []
    return finished


def _assert_nothing_to_mend(onefile: OneFile, syncd: Syncd) -> None:
    """With the MIS put right, everybody is as they were: nobody returns, for nobody was taken for a leaver."""
    finished = _sync_without_a_write(onefile, syncd)
    assert finished.exit == Exit.IN_STEP, finished.stdout
    (plan,) = (event for event in finished.events if event["event"] == "plan_ready")
    assert (plan["unchanged"], plan["returners"], plan["leavers"]) == (len(_PEOPLE), 0, 0)
    assert not any(learner.is_archived for learner in onefile.learners)


def test_stopped_run_no_longer_waits_after_a_later_run_finishes(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.IN_STEP
    syncd.write_feed(f"{FEED} LIMIT 0")
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    syncd.write_feed(FEED)
    assert syncd("sync").exit == Exit.IN_STEP
    assert syncd("status", "--json").json["awaiting_approval"] is None
    assert syncd("approve").exit == Exit.COULD_NOT_RUN


def test_an_approval_that_a_later_run_did_not_need_lets_nothing_else_go(
    mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.IN_STEP
    syncd.write_feed(f"{FEED} LIMIT 0")
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    assert syncd("approve").exit == Exit.IN_STEP
    syncd.write_feed(FEED)
    assert syncd("sync").exit == Exit.IN_STEP
    syncd.write_feed(f"{FEED} LIMIT 0")
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL

"""A run that is too large waits for a person."""

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)


@pytest.mark.slow
def test_rejected_run_is_settled_and_stays_away_until_it_is_asked_for(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL

    rejected = syncd("reject")

    assert rejected.exit == Exit.IN_STEP, rejected.stderr
    assert syncd("status", "--json").json["awaiting_approval"] is None
    assert syncd("approve").exit == Exit.COULD_NOT_RUN
    assert syncd("sync").exit == Exit.SOME_HELD
    assert syncd("status", "--json").json["awaiting_approval"] is None
    assert syncd("retry", "--reason", "rejected").exit == Exit.IN_STEP
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    assert syncd("status", "--json").json["awaiting_approval"] is not None
    assert onefile.writes == []


def test_emptied_mis_stops_the_run_and_writes_nothing(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    for learner in mis.enrolled:
        mis.withdraw(learner.learn_ref_number)

    with onefile.watched() as calls:
        stopped = syncd("sync")

    assert stopped.exit == Exit.AWAITING_APPROVAL, stopped.stderr
    assert [call for call in calls if call.is_write] == []

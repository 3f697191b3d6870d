"""People come and go."""

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile


@pytest.mark.slow
def test_leaver_is_reported_and_returner_keeps_the_account(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    leaver = next(learner for learner in mis.enrolled if learner.learn_ref_number in onefile.misids)
    misid = leaver.learn_ref_number

    mis.withdraw(misid)
    with onefile.watched() as calls:
        gone = syncd("sync")
        still_gone = syncd("plan", "--json").json

    assert gone.exit == Exit.SOME_HELD, gone.stderr
    assert [call for call in calls if call.is_write] == []
    assert [one["misid"] for one in still_gone["leavers"]] == [misid]

    mis.enrol([leaver])
    with onefile.watched() as calls:
        back = syncd("sync")

    assert back.exit == Exit.SOME_HELD, back.stderr
    assert [call for call in calls if call.is_write] == []
    assert onefile.misids.count(misid) == 1
    assert syncd("plan", "--json").json["leavers"] == []

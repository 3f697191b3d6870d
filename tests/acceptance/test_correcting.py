"""What only a person can put right, on the command line: rekey and restore; and looking after the store."""

from dataclasses import replace

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)


@pytest.mark.slow
def test_a_learner_whose_number_changes_keeps_the_account(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    learner = next(one for one in mis.enrolled if one.learn_ref_number in onefile.misids and one.uln != 9999999999)
    old, new = learner.learn_ref_number, "9REKEYED01"
    account = onefile.learner(old)
    mis.withdraw(old)
    mis.enrol([replace(learner, learn_ref_number=new)])

    assert syncd("sync").exit == Exit.SOME_HELD
    (held,) = (one for one in syncd("held", "--json").json if one["misid"] == new)
    assert held["reason"] == "rekeyed?"
    assert f"syncd rekey {old} {new}" in held["detail"]

    with onefile.watched() as calls:
        rekeyed = syncd("rekey", old, new)
    assert rekeyed.exit == Exit.IN_STEP, rekeyed.stderr
    assert [(call.path, call.body) for call in calls if call.is_write] == [(f"/User/{account.id}", {"MISID": new})]
    assert syncd("sync").exit == Exit.SOME_HELD
    assert new not in {one["misid"] for one in syncd("held", "--json").json}
    assert onefile.learner(new).id == account.id
    assert syncd("history", new, "--json").json[0]["action"] == "rekey"


@pytest.mark.slow
def test_rekeys_come_from_a_file_too_and_a_bad_one_is_said_to_be(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    first, second = onefile.misids[:2]
    file = syncd.folder / "moves.csv"
    file.write_text(f"old,new\n{first},9NEW1\n{second},\n", encoding="utf-8")
    refused = syncd("rekey", "--from", str(file))
    assert refused.exit == Exit.COULD_NOT_RUN
    assert "line 3" in refused.stderr

    file.write_text(f"old,new\n{first},9NEW1\n{second},9NEW2\n", encoding="utf-8")
    assert syncd("rekey", "--from", str(file)).exit == Exit.IN_STEP
    assert {"9NEW1", "9NEW2"} <= set(onefile.misids)
    assert syncd("rekey", "nobody", "9NEW3").exit == Exit.COULD_NOT_RUN
    assert syncd("rekey", "nobody").exit == Exit.WRONG_USAGE


@pytest.mark.slow
def test_an_archived_leaver_can_be_restored(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    syncd.configure(leavers={"action": "archive", "grace_days": 0})
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    leaver = onefile.misids[0] or ""
    mis.withdraw(leaver)
    syncd("sync")
    syncd("sync")
    assert onefile.learner(leaver).is_archived

    assert syncd("restore", leaver).exit == Exit.IN_STEP

    assert not onefile.learner(leaver).is_archived
    assert syncd("restore", leaver).exit == Exit.COULD_NOT_RUN


@pytest.mark.slow
def test_store_is_checked_backed_up_and_resealed_with_a_key(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    key = "Zm9yIHRlc3RzIG9ubHksIGFuZCBub3QgYSBzZWNyZXQ="
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    assert syncd("db", "check").exit == Exit.IN_STEP
    assert syncd("db", "backup", "copy.db").exit == Exit.IN_STEP
    assert syncd("db", "backup", "copy.db").exit == Exit.COULD_NOT_RUN
    syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"] = key
    assert syncd("db", "reseal").exit == Exit.IN_STEP
    assert syncd("db", "check").exit == Exit.IN_STEP
    with onefile.watched() as calls:
        assert syncd("sync").exit == Exit.SOME_HELD
    assert calls == []

    del syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"]
    for command in (("sync",), ("approve",)):
        locked = syncd(*command)
        assert locked.exit == Exit.COULD_NOT_RUN
        assert "SYNCD_STATE__ENCRYPTION_KEY" in locked.stderr
    syncd.configure(state={"url": "sqlite:///copy.db"})
    assert syncd("db", "check").exit == Exit.IN_STEP
    assert len(syncd("accounts", "--json").json) == len(onefile.learners)

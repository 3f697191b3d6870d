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
    assert [one["action"] for one in syncd("history", new, "--json").json][:2] == ["create", "rekey"]


@pytest.mark.slow
def test_rekeys_come_from_a_file_too_and_a_bad_one_is_said_to_be(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    people = [one for one in mis.enrolled if one.learn_ref_number in onefile.misids][:2]
    first, second = (one.learn_ref_number for one in people)
    for number, learner in enumerate(people, 1):
        mis.withdraw(learner.learn_ref_number)
        mis.enrol([replace(learner, learn_ref_number=f"9NEW{number}")])
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
def test_a_reused_number_is_released_and_its_new_owner_gets_an_account(
    mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    learner, other = [one for one in mis.enrolled if one.learn_ref_number in onefile.misids and one.uln != 9999999999][
        :2
    ]
    misid = learner.learn_ref_number
    account = onefile.learner(misid)
    mis.withdraw(misid)
    mis.withdraw(other.learn_ref_number)
    mis.enrol([replace(other, learn_ref_number=misid)])
    assert syncd("sync").exit == Exit.SOME_HELD
    (held,) = (one for one in syncd("held", "--json").json if one["misid"] == misid)
    assert (held["reason"], held["user_id"]) == ("another_person?", account.id)
    assert f"syncd release {misid}" in held["detail"]

    with onefile.watched() as calls:
        released = syncd("release", misid)

    assert released.exit == Exit.IN_STEP, released.stderr
    new = f"released-{account.id}"
    assert [(call.path, call.body) for call in calls if call.is_write] == [(f"/User/{account.id}", {"MISID": new})]
    assert onefile.learner(new).id == account.id
    syncd("sync")
    (asked,) = (one for one in syncd("held", "--json").json if one["misid"] == misid)
    # The new owner had a number of their own, whose record is gone.
    assert (asked["reason"], asked["other"]) == ("rekeyed?", other.learn_ref_number)
    answers = syncd("held", "--reason", "rekeyed?", "--csv").stdout
    (syncd.folder / "answers.csv").write_text(
        "".join(f"{line.rstrip(',')},same\n" if misid in line else f"{line}\n" for line in answers.splitlines()),
        encoding="utf-8",
    )
    before = onefile.learner(other.learn_ref_number).id
    assert syncd("retry", "--from", "answers.csv").exit == Exit.IN_STEP
    syncd("sync")
    assert onefile.learner(misid).id == before
    history = [one for one in syncd("history", misid, "--json").json if one["user_id"] == account.id]
    assert [(one["action"], one["misid"]) for one in history] == [("create", misid), ("rekey", new)]


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
    again = syncd("restore", leaver)
    assert again.exit == Exit.IN_STEP
    assert "OneFile did not show whether it was archived; the state store had it as active." in again.stdout
    assert syncd("restore", "nobody").exit == Exit.COULD_NOT_RUN


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

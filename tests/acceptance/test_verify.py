"""Somebody edits learners in OneFile's own pages; `syncd verify` finds it, and puts it right when asked to."""

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_NONE, _SOME = 0, 4
_BY_HAND = "Zz-Edited-By-Hand"


@pytest.fixture
def in_step(mis: Mis, onefile: OneFile, syncd: Syncd) -> Syncd:
    """A syncd whose first run is done."""
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    return syncd


def _edit(onefile: OneFile, *misids: str | None) -> None:
    for misid in misids:
        assert misid is not None
        onefile.learner(misid).values["LastName"] = _BY_HAND


def _drift(user_id: int, kind: str, *fields: str) -> dict[str, object]:
    return {"role": "Learner", "user_id": user_id, "fields": [*fields], "kind": kind, "not_kept": []}


@pytest.mark.slow
def test_drift_is_reported_by_name_of_field_and_put_right_by_fix(onefile: OneFile, in_step: Syncd) -> None:
    edited, gone = onefile.learners[0], onefile.learners[1]
    surnames = {str(edited.values["LastName"]), _BY_HAND}
    _edit(onefile, edited.misid)
    onefile.lose(gone)
    written = len(onefile.writes)

    found = in_step("verify", "--json")

    assert found.exit == _SOME, found.stderr
    assert {one.pop("misid"): one for one in found.json} == {
        edited.misid: _drift(edited.id, "changed", "LastName"),
        gone.misid: _drift(gone.id, "missing"),
    }
    events = [event["event"] for event in found.events]
    assert events == ["run_started", "drift_found", "drift_found", "plan_ready", "run_finished"]
    assert len({event["run"] for event in found.events}) == 1
    assert in_step("status", "--json").json["last_run"]["trigger"] == "verify"

    for_people = in_step("verify")
    assert for_people.exit == _SOME
    assert str(edited.misid) in for_people.stdout
    assert "LastName" in for_people.stdout
    assert "no longer has the account" in for_people.stdout
    assert len(onefile.writes) == written

    fixed = in_step("verify", "--fix")
    assert fixed.exit == _SOME, "what is gone is not put right by sending it again"
    assert "1 sent again" in fixed.stdout
    assert [(call.path, sorted(call.body)) for call in onefile.writes[written:]] == [
        (f"/User/{edited.id}", ["LastName"])
    ]

    onefile.put_back(gone)
    assert in_step("verify", "--full").exit == _NONE
    assert in_step("verify", "--json").json == []
    assert in_step("history", str(edited.misid), "--json").json[-1]["action"] == "update"
    for name, said in in_step.everything_said():
        assert [surname for surname in surnames if surname in said] == [], name


@pytest.mark.slow
def test_after_a_fix_that_put_all_right_it_ends_as_if_nothing_had_been(onefile: OneFile, in_step: Syncd) -> None:
    _edit(onefile, onefile.misids[0])

    assert in_step("verify", "--fix").exit == _NONE
    assert in_step("verify").exit == _NONE


@pytest.mark.slow
def test_a_fix_that_is_too_large_waits_for_approval(onefile: OneFile, in_step: Syncd) -> None:
    in_step.configure(guard={"percent": 1, "floor": 1})
    _edit(onefile, *onefile.misids[:2])
    written = len(onefile.writes)

    stopped = in_step("verify", "--fix")

    assert stopped.exit == Exit.AWAITING_APPROVAL, stopped.stderr
    assert "syncd approve" in stopped.stdout
    assert len(onefile.writes) == written
    assert in_step("status", "--json").json["awaiting_approval"]["updates"] == 2
    assert in_step("verify").exit == _SOME, "looking is never too much"

    assert in_step("approve").exit == Exit.IN_STEP
    assert in_step("verify", "--fix").exit == _NONE
    assert len(onefile.writes) == written + 2


@pytest.mark.slow
def test_verify_without_any_account_finds_no_drift_and_makes_no_call(onefile: OneFile, mis: Mis, syncd: Syncd) -> None:
    assert syncd("db", "upgrade").exit == Exit.IN_STEP
    with onefile.watched() as calls:
        assert syncd("verify").exit == _NONE
    assert calls == []


@pytest.mark.slow
def test_a_onefile_that_cannot_be_reached_is_said_in_a_sentence(in_step: Syncd) -> None:
    in_step.configure(onefile={"base_url": "http://127.0.0.1:1/api/v2.1"})

    failed = in_step("verify")

    assert failed.exit == Exit.COULD_NOT_RUN
    assert "cannot be reached" in failed.stderr.splitlines()[-1]
    assert failed.stdout == ""

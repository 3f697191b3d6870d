"""A college's first term with syncd: planned, stopped, approved, sent, and kept in step."""

from collections import Counter

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.expected import Expected, expect
from tests.support.provider.ilr import Learner
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

_HANDFUL = 10


either_return = pytest.mark.parametrize(
    "learners",
    ["a small return", pytest.param("the real return", marks=pytest.mark.shared_data)],
    indirect=True,
)


@either_return
def test_a_college_is_brought_into_step_and_kept_there(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    story = _Story(learners, mis, onefile, syncd)
    story.the_plan_lists_everyone_and_changes_nothing()
    story.the_first_run_waits_for_approval()
    story.the_approved_run_is_sent()
    story.onefile_has_everyone_once_as_the_return_has_them()
    story.every_account_is_known_by_its_user_id()
    story.what_could_not_be_sent_is_held_with_its_reason()
    story.a_poll_with_nothing_new_makes_no_call()
    story.a_changed_surname_is_one_write_of_one_field()
    story.the_status_tells_how_things_stand()


@pytest.mark.slow
@either_return
@pytest.mark.parametrize("onefile", ["with Keychain"], indirect=True)
def test_with_keychain_on_every_created_account_is_known_by_its_userid(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    story = _Story(learners, mis, onefile, syncd)
    done = syncd("sync", "--approve")
    assert done.exit == story.exit_when_done, done.stderr
    story.onefile_has_everyone_once_as_the_return_has_them()
    story.every_account_is_known_by_its_user_id()
    story.a_poll_with_nothing_new_makes_no_call()


class _Story:
    """The chapters share one OneFile, one MIS and one state; each asserts what a user could see."""

    def __init__(self, learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
        self.mis = mis
        self.onefile = onefile
        self.syncd = syncd
        self.expected: dict[str, Expected] = {
            learner.learn_ref_number: expect(learner, mis.college) for learner in learners
        }
        self.sendable = {misid: each for misid, each in self.expected.items() if each.held is None}
        self.held = {misid: each.held for misid, each in self.expected.items() if each.held is not None}
        self.exit_when_done = Exit.SOME_HELD if self.held else Exit.IN_STEP

    def the_plan_lists_everyone_and_changes_nothing(self) -> None:
        planned = self.syncd("plan", "--json")

        assert planned.exit == Exit.IN_STEP, planned.stderr
        plan = planned.json
        assert {create["misid"] for create in plan["creates"]} == self.sendable.keys()
        assert len(plan["creates"]) == len(self.sendable)
        assert {one["misid"]: (one["reason"], one["field"]) for one in plan["held"]} == self.held
        # The real return is made anonymous: some of its learners have the names and the numbers of others.
        left_out = [one for one in plan["warnings"] if one["reason"] != "same_person?"]
        assert Counter((one["misid"], one["field"]) for one in left_out) == Counter(
            (misid, field) for misid, each in self.sendable.items() for field in each.warnings
        )
        for create in plan["creates"]:
            assert set(create["fields"]) >= self.sendable[create["misid"]].fields.keys() - {"MISID"}
        assert (plan["updates"], plan["leavers"], plan["returners"], plan["unchanged"]) == ([], [], [], 0)
        assert plan["guard"].startswith("stopped: ")
        assert self.onefile.writes == []
        assert len(self.onefile.calls) <= _HANDFUL

    def the_first_run_waits_for_approval(self) -> None:
        stopped = self.syncd("sync")

        assert stopped.exit == Exit.AWAITING_APPROVAL, stopped.stderr
        assert self.onefile.writes == []
        waiting = self.syncd("status", "--json").json["awaiting_approval"]
        assert (waiting["creates"], waiting["updates"], waiting["leavers"]) == (len(self.sendable), 0, 0)

    def the_approved_run_is_sent(self) -> None:
        approved = self.syncd("approve")
        assert approved.exit == Exit.IN_STEP, approved.stderr

        done = self.syncd("sync")

        assert done.exit == self.exit_when_done, done.stderr

    def onefile_has_everyone_once_as_the_return_has_them(self) -> None:
        accounts = self.onefile.learners
        assert Counter(account.misid for account in accounts) == Counter(self.sendable.keys())
        for account in accounts:
            assert account.misid is not None
            assert account.values == self._values(account.misid), account.misid

    def _values(self, misid: str) -> dict[str, object]:
        expected = self.sendable[misid]
        assert expected.classroom is not None
        assert expected.assessor is not None
        return {
            **expected.fields,
            "ClassroomID": self.onefile.classroom_id(expected.classroom),
            "PlacementID": self.onefile.placement_id(expected.placement),
            "DefaultAssessorID": self.onefile.assessor_id(expected.assessor),
        }

    def every_account_is_known_by_its_user_id(self) -> None:
        accounts = self.syncd("accounts", "--json").json

        assert {account["misid"]: account["user_id"] for account in accounts} == {
            account.misid: account.id for account in self.onefile.learners
        }
        for account in accounts:
            assert account.keys() == {"organisation_id", "role", "misid", "user_id", "status", "synced_at"}
            assert (account["organisation_id"], account["role"]) == (self.onefile.organisation_id, "Learner")

    def what_could_not_be_sent_is_held_with_its_reason(self) -> None:
        held = self.syncd("held", "--json").json

        assert {one["misid"]: (one["reason"], one["field"]) for one in held} == self.held
        for one in held:
            assert one.keys() == {
                "organisation_id",
                "role",
                "misid",
                "reason",
                "field",
                "detail",
                "feed",
                "first_seen_at",
                "other",
                "user_id",
                "evidence",
                "answer",
            }
            assert (one["role"], one["feed"]) == ("Learner", "learners")

    def a_poll_with_nothing_new_makes_no_call(self) -> None:
        with self.onefile.watched() as calls:
            quiet = self.syncd("sync")

        assert quiet.exit == self.exit_when_done, quiet.stderr
        assert calls == []

    def a_changed_surname_is_one_write_of_one_field(self) -> None:
        misid = next(iter(self.sendable))
        self.mis.correct(misid, family_name="Ó Súilleabháin")

        with self.onefile.watched() as calls:
            done = self.syncd("sync")

        assert done.exit == self.exit_when_done, done.stderr
        account = self.onefile.learner(misid)
        writes = [(call.method, call.path, call.body) for call in calls if call.is_write]
        assert writes == [("POST", f"/User/{account.id}", {"LastName": "Ó Súilleabháin"})]
        assert account.values["LastName"] == "Ó Súilleabháin"
        created, updated = sorted(self.syncd("history", misid, "--json").json, key=lambda change: change["at"])
        assert (created["action"], created["outcome"]) == ("create", "applied")
        assert (updated["action"], updated["outcome"]) == ("update", "applied")
        assert updated["fields"] == ["LastName"]
        told = {"run", "at", "action", "fields", "outcome", "attempts", "http_status", "detail", "misid", "user_id"}
        assert updated.keys() == told

    def the_status_tells_how_things_stand(self) -> None:
        status = self.syncd("status", "--json").json

        assert status.keys() >= {
            "last_run",
            "next_run_at",
            "awaiting_approval",
            "accounts",
            "held",
            "warnings",
            "in_doubt",
            "onefile",
        }
        assert status["last_run"]["updates"] == 1
        assert status["last_run"]["creates"] == 0
        assert status["awaiting_approval"] is None
        assert status["accounts"] == {"Learner": len(self.sendable)}
        assert status["held"] == Counter(reason for reason, _ in self.held.values())
        assert status["warnings"] >= sum(len(each.warnings) for each in self.sendable.values())
        assert (status["in_doubt"], status["onefile"]) == (0, "ok")

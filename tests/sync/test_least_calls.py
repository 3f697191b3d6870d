"""Whatever a run meets, it makes the calls that it cannot do without, and no others."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.onefile import OneFile, Pacer
from syncd.simulator import Fault, FaultKind
from syncd.state import holding
from syncd.state.pace import StoredTurns
from syncd.sync.correcting import Move, rekey_plan, restore_plan
from syncd.sync.linking import find_links
from syncd.sync.one_pass import Trigger, carry_out, run_once
from syncd.sync.verifying import verify_once

from .conftest import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT, College, Found
from .least_calls import Told, calls_made, finds, pages, searches
from .whole import PLACES, Whole


@pytest.fixture
def state_url(sqlite_url: str) -> str:
    """Which database the store is in makes no difference to calls."""
    return sqlite_url


class Watched:
    """A whole organisation, each of whose runs is held against the least that it could have done with."""

    def __init__(self, whole: Whole, clients: ExitStack, *, keychain: bool) -> None:
        self.whole = whole
        self.told = Told(keychain)
        self._clients = clients

    def run(self, after: str = "the beginning") -> Counter[str]:
        """A poll; gives the calls that it made."""
        least = self.told.least(self.whole.people, self.whole.links, self.world)
        self.whole.college.onefile.journal.clear()
        self.whole.write()
        done = run_once(self.whole.college.parts, Trigger.SCHEDULE)
        made = calls_made(self.whole.college.onefile.journal)
        assert (made, done.is_in_step) == (least, True), after
        assert done.calls == made.total()
        self.told.take(self.whole.people, self.whole.links)
        self.told.is_logged_in |= bool(made)
        return made

    @property
    def world(self) -> Any:
        return self.whole.college.onefile.world

    def restart(self) -> None:
        """As a new process begins: without a session, and with nothing learnt."""
        college = self.whole.college
        pacer = Pacer(
            StoredTurns(college.parts.store, "token"), 600_000, clock=college.clock, sleep=college.clock.sleep
        )
        onefile = college.onefile
        client = OneFile(onefile.base_url, onefile.customer_token, pacer, clock=college.clock)
        self._clients.enter_context(client)
        college.parts = replace(college.parts, onefile=client)
        self.told.is_logged_in = False

    def row(self, role: Role, misid: str) -> dict[str, Any]:
        (row,) = (row for row in self.whole.people[role] if row["MISID"] == misid)
        return row


Open = Callable[..., Watched]


@pytest.fixture
def open_whole(found: Found) -> Iterator[Open]:
    """Opens an organisation with one of everything, of whom OneFile does not know yet."""
    with ExitStack() as clients:

        def open_(*, keychain: bool = False) -> Watched:
            whole = Whole(found(keychain=keychain, employer_must_be_assigned=True))
            whole.add_everything()
            whole.people[Role.EMPLOYER][0]["GrantAccess"] = "no"
            whole.links = {Role.EMPLOYER: [("L1", "E1")], Role.IQA: [("L1", "Q1")]}
            return Watched(whole, clients, keychain=keychain)

        yield open_


@pytest.mark.parametrize("keychain", [False, True])
def test_a_first_run(open_whole: Open, keychain: bool) -> None:
    open_whole(keychain=keychain).run()


def _nothing(_: Watched) -> None:
    pass


def _another_process(watched: Watched) -> None:
    watched.restart()


def _two_days_pass(watched: Watched) -> None:
    watched.whole.college.clock.now += timedelta(days=2)
    # A session lives for one (§2).
    watched.told.is_logged_in = False


def _one_name(watched: Watched) -> None:
    watched.row(Role.LEARNER, "L1")["LastName"] = "Married"


def _everything_of_one(watched: Watched) -> None:
    watched.whole.add(Role.CLASSROOM, "C2")
    watched.row(Role.LEARNER, "L1").update(FirstName="Anna", LastName="Married", ClassroomMISID="C2")


def _a_name_of_each(watched: Watched) -> None:
    for role, rows in watched.whole.people.items():
        for row in rows:
            row["Name" if role in PLACES else "LastName"] = "Another"


def _a_name_that_goes(watched: Watched) -> None:
    watched.row(Role.PLACEMENT, "P1")["Address"] = None


def _a_learner(watched: Watched) -> None:
    watched.whole.learner("L3", DefaultEmployerMISID=None)


def _a_learner_with_employer(watched: Watched) -> None:
    watched.whole.learner("L2")
    watched.whole.links[Role.EMPLOYER].append(("L2", "E1"))


def _staff_and_learner(watched: Watched) -> None:
    watched.whole.add(Role.ASSESSOR, "A8")
    watched.whole.learner("L4", DefaultAssessorMISID="A8", DefaultEmployerMISID=None)


def _somebody_of_two_roles(watched: Watched) -> None:
    watched.whole.add(Role.ASSESSOR, "S1")
    watched.whole.add(Role.IQA, "S1", LastName="Other")


def _many(watched: Watched) -> None:
    for number in range(12):
        watched.whole.learner(f"N{number}", DefaultEmployerMISID=None)


def _a_class(watched: Watched) -> None:
    watched.whole.add(Role.CLASSROOM, "C3")


def _another_placement(watched: Watched) -> None:
    watched.whole.add(Role.PLACEMENT, "P2")
    watched.row(Role.EMPLOYER, "E1")["PlacementMISID"] = "P2"
    watched.row(Role.LEARNER, "L1")["PlacementMISID"] = "P2"


def _another_employer(watched: Watched) -> None:
    watched.whole.add(Role.EMPLOYER, "E2", PlacementMISID="P1")
    watched.row(Role.LEARNER, "L1").update(DefaultEmployerMISID="E2", LastName="Married")
    watched.whole.links[Role.EMPLOYER].append(("L1", "E2"))


def _access(watched: Watched) -> None:
    watched.row(Role.EMPLOYER, "E1")["GrantAccess"] = "yes"


def _somebody_goes(watched: Watched) -> None:
    watched.whole.people[Role.LEARNER].remove(watched.row(Role.LEARNER, "L2"))
    for pairs in watched.whole.links.values():
        pairs[:] = [pair for pair in pairs if pair[0] != "L2"]


def _and_comes_back(watched: Watched) -> None:
    watched.whole.learner("L2", LastName="Married")
    watched.whole.links[Role.EMPLOYER].append(("L2", "E1"))


#: One after the other, with how many calls each comes to, log-ins left out.
_CHANGES: dict[Callable[[Watched], None], int] = {
    _nothing: 0,
    _another_process: 0,
    _two_days_pass: 0,
    _one_name: 1,
    _a_name_of_each: 6,
    _a_name_that_goes: 0,
    _access: 1,
    _a_learner_with_employer: 5,
    _a_learner: 3,
    _everything_of_one: 4,
    _staff_and_learner: 5,
    _somebody_of_two_roles: 4,
    _another_placement: 6,
    _another_employer: 5,
    _a_class: 3,
    _somebody_goes: 0,
    _and_comes_back: 1,
    _many: 15,
}


def test_polls_of_a_college_to_which_one_thing_after_another_happens(open_whole: Open) -> None:
    watched = open_whole()
    watched.run()
    for change, calls in _CHANGES.items():
        change(watched)
        made = watched.run(change.__name__)
        assert made.total() - made["log in"] == calls, change.__name__


class Small:
    """A small college in step, and what happens to one of its learners."""

    def __init__(self, college: College) -> None:
        self.college = college
        college.with_policy(archives_leavers=True)
        college.with_feed(_feed(_COLUMNS))
        college.enrol("L1", "L2", "L3", "L4")
        assert college.run().is_in_step

    def calls(self, trigger: Trigger = Trigger.SCHEDULE, **options: Any) -> Counter[str]:
        """Those of one run."""
        return self.during(lambda: run_once(self.college.parts, trigger, **options))

    def during(self, act: Callable[[], object]) -> Counter[str]:
        """Those that are made meanwhile."""
        self.college.onefile.journal.clear()
        act()
        return calls_made(self.college.onefile.journal)

    def pass_by(self, **time: float) -> None:
        self.college.clock.now += timedelta(**time)

    def edit(self, misid: str, **values: Any) -> None:
        """As somebody does in OneFile's own pages."""
        (user,) = self.college.onefile.world.users_with_misid(misid)
        user.values |= values
        user.modified_at = self.college.clock.timestamp()


_COLUMNS = {
    "MISID": "misid",
    "FirstName": "forename",
    "LastName": "surname",
    "Email": "email",
    "ClassroomID": str(CLASSROOM),
    "PlacementID": str(PLACEMENT),
    "DefaultAssessorID": str(ASSESSOR),
}


def _feed(columns: Mapping[str, str]) -> str:
    selected = ", ".join(f"{value} AS {name}" for name, value in columns.items())
    return f"SELECT {selected} FROM person"


_ONE_NEW = {"read the Keychain setting": 1, "look for users": 1, "create a user": 1}
_LOG_IN = {"log in": 1}


@pytest.fixture
def small(found: Found) -> Small:
    return Small(found())


def test_a_leaver_is_archived_by_one_call_and_comes_back_by_one_more(small: Small) -> None:
    small.college.withdraw("L1", "L2")
    assert small.calls() == {}, "it is only reported"
    small.pass_by(days=15)
    assert small.calls() == _LOG_IN | {"archive a user": 2}
    small.college.enrol("L1")
    small.college.enrol("L2", surname="Married")
    # What an archived account says cannot be changed (U21), and no call does both.
    assert small.calls() == {"bring a user back": 2, "update a user": 1}
    assert small.calls() == {}


def test_an_archiving_is_taken_back_by_one_call(small: Small) -> None:
    small.college.withdraw("L1")
    small.calls()
    small.pass_by(days=15)
    small.calls()
    plan = restore_plan("L1", Role.LEARNER)
    assert small.during(lambda: carry_out(small.college.parts, Trigger.RESTORE, plan)) == {"bring a user back": 1}


def test_a_new_misid_is_looked_for_and_told(small: Small) -> None:
    plan = rekey_plan([Move(Role.LEARNER, "L1", "R1"), Move(Role.LEARNER, "L2", "R2")])
    calls = small.during(lambda: carry_out(small.college.parts, Trigger.REKEY, plan))
    assert calls == {"look for users": searches(2, 5, 50), "update a user": 2}


def test_whoever_onefile_has_already_is_found_and_told_the_difference(small: Small) -> None:
    users = [
        {"OrganisationID": ORGANISATION, "Role": 1, "MISID": misid, "FirstName": "A", "LastName": "B"}
        for misid in ("M1", "M2", "M3")
    ]
    small.college.onefile.sow({"users": users})
    small.college.enrol("M1")
    # The search without a role, which alone finds the archived (U4), does not say whose role an account is of.
    assert small.calls() == {"look for users": searches(1, 6, 50, there=1), "read a user": 1, "update a user": 1}
    small.college.enrol("M2", "M3")
    assert small.calls() == {"look for users": searches(2, 8, 50, there=2), "read a user": 2, "update a user": 2}


def test_whoever_is_refused_is_sent_again_when_asked_for_or_changed_and_not_before(found: Found) -> None:
    small = Small(found(strict=True))
    small.college.enrol("L5", surname="Long" * 20)
    assert small.calls() == _ONE_NEW
    assert small.calls() == {}
    with small.college.parts.store.begin() as connection:
        holding.retry(connection, ORGANISATION, ["L5"], small.college.clock())
    assert small.calls() == _ONE_NEW
    small.college.correct("L5", surname="Short")
    assert small.calls() == _ONE_NEW


def test_a_create_whose_answer_is_lost_is_looked_for_once(small: Small) -> None:
    small.college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    small.college.enrol("L5")
    assert small.calls() == _ONE_NEW
    # The search without a role does not tell whose role it is of. And it may be one that somebody has made by hand, for
    # a MISID is nobody's alone (§16), so that it is told all.
    found_and_told = {"look for users": searches(1, 6, 50, there=1), "read a user": 1, "update a user": 1}
    assert small.calls() == found_and_told
    assert small.calls() == {}


def test_a_create_that_did_not_happen_is_looked_for_once_before_it_is_made(small: Small) -> None:
    small.college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, path="/User"))
    small.college.enrol("L5")
    assert small.calls() == _ONE_NEW
    assert small.calls() == _ONE_NEW, "what settled it knows that there is nobody"


def test_an_update_whose_answer_is_lost_is_made_again_without_a_question(small: Small) -> None:
    small.college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User/*", times=3))
    small.college.correct("L1", surname="Married")
    assert small.calls() == {"update a user": 3}
    assert small.calls() == {"update a user": 1}


def test_a_resync_of_one_is_about_nobody_else(small: Small) -> None:
    small.college.correct("L1", surname="Married")
    small.college.correct("L2", surname="Married")
    small.college.enrol("L5", "L6")
    assert small.calls(Trigger.REQUEST, only=frozenset({"L1"})) == {"update a user": 1}
    assert small.calls(Trigger.REQUEST, only=frozenset({"L1"})) == {}
    assert small.calls(Trigger.REQUEST, only=frozenset({"L5"})) == _ONE_NEW


def test_a_verify_reads_each_account_once_and_then_those_that_were_touched(small: Small) -> None:
    small.pass_by(hours=60)
    verify = partial(verify_once, small.college.parts, Trigger.VERIFY)
    # Nothing but reading it by id tells all that an account says (§8.6).
    assert small.during(verify) == _LOG_IN | {"read a user": 4}
    small.pass_by(hours=60)
    # One search for what was changed since, in no role and so in all.
    assert small.during(verify) == _LOG_IN | {"look for users": 1}
    small.edit("L1", LastName="Other")
    assert small.during(verify) == {"look for users": 2, "read a user": 1}
    assert small.during(partial(verify, fix=True)) == {"look for users": 2, "read a user": 1, "update a user": 1}
    assert small.during(partial(verify, full=True)) == {"read a user": 4}


def test_first_contact_reads_everybody_once_by_page(found: Found) -> None:
    small = Small(found())
    roles = 1
    # By role, for that tells what each is; and without one, for the archived (U4).
    assert small.during(lambda: find_links(small.college.parts)) == {
        "look for users": roles * pages(4, 50) + pages(5, 50)
    }


@pytest.mark.parametrize(
    ("column", "known", "unknown", "calls", "calls_again"),
    [
        # Whoever is no assessor may be a trainee.
        ("DefaultAssessorMISID", "A1", "A404", {"look for users": finds(2, 1, 50) + 1}, {"look for users": 2}),
        ("DefaultEmployerMISID", None, "E404", {"look for users": 1}, {"look for users": 1}),
        ("ClassroomMISID", "BAD1", "C404", {"list places": pages(1, 50)}, {"list places": pages(1, 50)}),
        ("ClassroomName", "Business Admin L2", "No", {"list places": pages(1, 50)}, {"list places": pages(1, 50)}),
        ("PlacementMISID", "DEF", "P404", {"list places": pages(1, 50)}, {"list places": pages(1, 50)}),
        ("PlacementName", "Default Placement", "No", {"list places": pages(1, 50)}, {"list places": pages(1, 50)}),
        ("LearnerStatusName", "Active", "No", {"read the learner statuses": 1}, {"read the learner statuses": 1}),
    ],
)
def test_codes_are_asked_for_by_one_search_a_kind_and_of_whoever_is_held_not_again_at_once(
    found: Found,
    column: str,
    known: str | None,
    unknown: str,
    calls: dict[str, int],
    calls_again: dict[str, int],
) -> None:
    small = Small(found())
    small.college.add_columns("code")
    for misid in ("L1", "L2", "L3"):
        small.college.correct(misid, code=known)
    small.college.correct("L4", code=unknown)
    stands_for = re.sub("MISID|Name", "ID", column)
    columns = {name: value for name, value in _COLUMNS.items() if name != stands_for} | {column: "code"}
    small.college.with_feed(_feed(columns))
    # A status is the one that they did not have before.
    changes = {"update a user": 3} if column == "LearnerStatusName" else {}

    assert small.calls() == calls | changes
    assert small.college.held == {"L4": "reference_not_found"}
    assert small.calls() == {}
    small.pass_by(hours=2)
    assert small.calls() == calls_again, "OneFile may have it by now"
    small.college.correct("L4", code=known)
    assert small.calls() == dict.fromkeys(changes, 1), "what was found is known"
    small.college.correct("L1", code=known, surname="Married")
    assert small.calls() == {"update a user": 1}


def test_a_learner_whom_onefile_has_already_is_told_everything_at_once_after_being_assigned_an_employer(
    open_whole: Open,
) -> None:
    watched = open_whole()
    watched.run()
    college = watched.whole.college
    college.onefile.sow({"users": [{"OrganisationID": ORGANISATION, "Role": 1, "MISID": "L2"}]})
    _a_learner_with_employer(watched)
    watched.whole.write()
    college.onefile.journal.clear()

    assert run_once(college.parts, Trigger.SCHEDULE).is_in_step

    assert calls_made(college.onefile.journal) == {
        "look for users": searches(1, 6, 50, there=1),
        "read a user": 1,
        "assign somebody to a learner": 1,
        "update a user": 1,
    }
    assert college.outcomes("L2") == [("assign", "applied"), ("link", "applied")]

"""Whatever a run meets, it makes the calls that it cannot do without, and no others."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.fields import Role, is_mandatory
from syncd.core.run import Trigger
from syncd.core.scope import Scope
from syncd.onefile import OneFile, RateLimiter
from syncd.operations.first_contact import find_links
from syncd.operations.rekey import Move, rekey_plan, restore
from syncd.operations.verify import verify_once
from syncd.simulator import Fault, FaultKind
from syncd.simulator.journal import Call
from syncd.state import held_records
from syncd.state.held_records import Selection
from syncd.state.rate_limit import StoredRateLimit
from syncd.sync.context import LONGEST_SEARCH_LAG
from syncd.sync.run import execute, run_once
from tests.support.calls import calls_made, finds, looks, pages, searches
from tests.support.college import College, Found, founded
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT
from tests.support.sessions import session_on

from .least_calls import Told
from .whole import PLACES, Whole


@pytest.fixture
def state_url(sqlite_url: str) -> str:
    """Which database the store is in makes no difference to calls."""
    return sqlite_url


class Watched:
    """A whole organisation, each of whose runs is held against the least that it could have done with."""

    def __init__(self, whole: Whole, clients: ExitStack, told: Told) -> None:
        self.whole = whole
        self.told = told
        self._clients = clients
        self._refused: set[str] = set()
        """The sizes of pages that this client knows to be too large."""
        self.learners = 0
        """How many have been made up for it."""
        self.gone: list[dict[str, Any]] = []

    @classmethod
    def begun(cls, college: College, clients: ExitStack, told: Told) -> Self:
        """With one of everything, of which OneFile does not know yet."""
        college.onefile.world.users.clear()
        whole = Whole(college)
        whole.add_everything()
        whole.people[Role.EMPLOYER][0]["GrantAccess"] = "no"
        whole.links = {Role.EMPLOYER: [("L1", "E1")], Role.IQA: [("L1", "Q1")]}
        return cls(whole, clients, told)

    def run(self, after: str = "the beginning") -> Counter[str]:
        """A poll; gives the calls that it made."""
        least = self.told.least(self.whole.people, self.whole.links, self.world)
        self.whole.college.onefile.journal.clear()
        self.whole.write()
        done = run_once(self.whole.college.context, Trigger.SCHEDULE)
        made = calls_made(self._not_to_learn())
        assert (made, done.is_in_sync) == (least, True), after
        self.told.take(self.whole.people, self.whole.links, self.world.clock())
        self.told.is_logged_in |= bool(made)
        return made

    def _not_to_learn(self) -> list[Call]:
        """The calls but for those by which a client learns, once for each size, which pages are too large (U1)."""
        calls = self.whole.college.onefile.journal.calls
        refused = [call for call in calls if call.is_search and call.status == HTTPStatus.BAD_REQUEST]
        sizes = [call.path.rpartition("/")[2] for call in refused]
        assert len({*sizes} - self._refused) == len(sizes), sizes
        self._refused |= {*sizes}
        return [call for call in calls if call not in refused]

    @property
    def world(self) -> Any:
        return self.whole.college.onefile.world

    def restart(self) -> None:
        """As a new process begins: without a session, and with nothing learnt."""
        college = self.whole.college
        rate_limiter = RateLimiter(
            StoredRateLimit(college.context.store, "token"), 600_000, clock=college.clock, sleep=college.clock.sleep
        )
        onefile = college.onefile
        client = OneFile(onefile.base_url, onefile.customer_token, rate_limiter, clock=college.clock)
        self._clients.enter_context(client)
        college.context = replace(college.context, onefile=client)
        self.told.is_logged_in = False
        self._refused.clear()

    @property
    def assigned(self) -> set[tuple[str, str]]:
        """Learners with the employers that OneFile has been told of."""
        return {(learner, user) for learner, user, role in self.told.pairs if role == Role.EMPLOYER}

    def any(self, role: Role, number: int) -> dict[str, Any]:
        """One of a role's rows."""
        rows = self.whole.people[role]
        return rows[number % len(rows)]

    def row(self, role: Role, misid: str) -> dict[str, Any]:
        (row,) = (row for row in self.whole.people[role] if row["MISID"] == misid)
        return row


Open = Callable[..., Watched]


@pytest.fixture
def open_whole(found: Found) -> Iterator[Open]:
    """Opens an organisation with one of everything, of whom OneFile does not know yet."""
    with ExitStack() as clients:

        def open_(*, keychain: bool = False) -> Watched:
            college = found(keychain=keychain, employer_must_be_assigned=True)
            return Watched.begun(college, clients, Told(keychain))

        yield open_


@pytest.mark.parametrize("keychain", [False, True])
@pytest.mark.parametrize("number", [1, *(pytest.param(many, marks=pytest.mark.slow) for many in (2, 10, 100))])
def test_new_records_are_looked_for_in_least_calls(open_whole: Open, number: int, keychain: bool) -> None:
    watched = open_whole(keychain=keychain)
    watched.told.page = watched.whole.college.onefile.switches.page_cap
    for each in range(120):
        watched.whole.learner(f"K{each}", DefaultEmployerMISID=None)
    watched.run()
    for each in range(number):
        watched.whole.learner(f"N{each}", DefaultEmployerMISID=None)
    watched.run()


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


def _learners_of_tutors_no_feed_has(watched: Watched) -> None:
    _make_tutors(watched, "T1", "T2")
    watched.whole.learner("L5", DefaultAssessorMISID="T1", DefaultEmployerMISID=None)
    watched.whole.learner("L6", DefaultAssessorMISID="T2", DefaultEmployerMISID=None)


def _a_class_and_a_placement_no_feed_has(watched: Watched) -> None:
    watched.whole.college.onefile.sow(
        {
            "classrooms": [{"OrganisationID": ORGANISATION, "Name": "Art", "MISID": "C9"}],
            "placements": [{"OrganisationID": ORGANISATION, "Name": "Here", "MISID": "P9"}],
        }
    )
    watched.row(Role.LEARNER, "L5").update(ClassroomMISID="C9", PlacementMISID="P9")


def _make_tutors(watched: Watched, *misids: str) -> None:
    tutors = [{"OrganisationID": ORGANISATION, "Role": 5, "MISID": misid} for misid in misids]
    watched.whole.college.onefile.sow({"users": tutors})


def _half_a_day_passes(watched: Watched) -> None:
    watched.whole.college.clock.now += timedelta(hours=12)


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
    _a_learner_with_employer: 6,
    _a_learner: 4,
    _everything_of_one: 4,
    _staff_and_learner: 5,
    _somebody_of_two_roles: 5,
    _another_placement: 6,
    _another_employer: 6,
    _a_class: 3,
    _somebody_goes: 0,
    _and_comes_back: 3,
    _many: 15,
}
#: The same of a college with codes that no feed answers to.
_CHANGES_WITH_CODES: dict[Callable[[Watched], None], int] = {
    _learners_of_tutors_no_feed_has: 7,
    _half_a_day_passes: 0,
    _a_class_and_a_placement_no_feed_has: 5,
    _nothing: 0,
    _one_name: 1,
    _two_days_pass: 6,
    _a_learner: 4,
    _another_process: 0,
}


@pytest.mark.parametrize(
    "changes", [pytest.param(_CHANGES, marks=pytest.mark.slow), _CHANGES_WITH_CODES], ids=["", "with codes"]
)
def test_polls_of_a_college_to_which_one_thing_after_another_happens(
    open_whole: Open, changes: Mapping[Callable[[Watched], None], int]
) -> None:
    watched = open_whole()
    watched.run()
    for change, calls in changes.items():
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
        assert college.run().is_in_sync

    def calls(self, trigger: Trigger = Trigger.SCHEDULE, **options: Any) -> Counter[str]:
        """Those of one run."""
        return self.during(lambda: run_once(self.college.context, trigger, **options))

    def during(self, act: Callable[[], object]) -> Counter[str]:
        """Those that are made meanwhile."""
        self.college.onefile.journal.clear()
        act()
        return calls_made(self.college.onefile.journal)

    def pass_by(self, **time: float) -> None:
        self.college.clock.now += timedelta(**time)

    def pass_days(self, days: int) -> None:
        """Let days pass in each of which there is nothing to do."""
        for _ in range(days):
            self.pass_by(days=1)
            assert self.calls() == {}

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


def _sow(college: College, *misids: str) -> None:
    college.onefile.sow({"users": [{"OrganisationID": ORGANISATION, "Role": 1, "MISID": misid} for misid in misids]})


#: It is looked for by its MISID, and by its names among the learners.
_ONE_NEW = {"read the Keychain setting": 1, "look for users": 2, "create a user": 1}
_LOG_IN = {"log in": 1}


@pytest.fixture
def small(found: Found) -> Small:
    return Small(found())


def test_a_leaver_is_archived_by_one_call_and_comes_back_by_one_more(small: Small) -> None:
    small.college.withdraw("L1", "L2")
    assert small.calls() == {}, "it is only reported"
    small.pass_days(14)
    small.pass_by(days=1)
    assert small.calls() == _LOG_IN | {"archive a user": 2}
    small.college.enrol("L1")
    small.college.enrol("L2", surname="Married")
    # What an archived account says cannot be changed (U21), and no call does both.
    assert small.calls() == {"bring a user back": 2, "update a user": 1}
    assert small.calls() == {}


def test_an_archiving_is_taken_back_by_one_call(small: Small) -> None:
    small.college.withdraw("L1")
    small.calls()
    small.pass_days(14)
    small.pass_by(days=1)
    small.calls()
    assert small.during(lambda: restore(small.college.context, "L1", Role.LEARNER)) == {"bring a user back": 1}


def test_rekey_searches_for_new_misids_and_updates_each_account_once(small: Small) -> None:
    small.college.withdraw("L1", "L2")
    small.college.enrol("R1", "R2")
    plan = rekey_plan([Move(Role.LEARNER, "L1", "R1"), Move(Role.LEARNER, "L2", "R2")])
    calls = small.during(lambda: execute(small.college.context, Trigger.REKEY, plan))
    assert calls == {"look for users": searches(2, 5, 50), "update a user": 2}


def test_existing_account_is_found_read_and_updated_with_least_calls(small: Small) -> None:
    _sow(small.college, "M1", "M2", "M3")
    there = Counter(Learner=7, Assessor=1)
    for misids in (("M1",), ("M2", "M3")):
        small.college.enrol(*misids)
        new = Counter(Learner=len(misids))
        # The search without a role, which alone finds the archived (U4), does not say whose role an account is of. If
        # the account itself does not say whether it is archived (U5), a search with the role does.
        assert small.calls() == {
            "look for users": looks(new, len(misids), there, 50, there=new) + len(misids),
            "read a user": len(misids),
            "update a user": len(misids),
        }


def test_refused_record_is_sent_again_only_after_retry_or_change(found: Found) -> None:
    small = Small(found(strict=True))
    small.college.enrol("L5", surname="Long" * 20)
    assert small.calls() == _ONE_NEW
    assert small.calls() == {}
    with small.college.context.store.begin() as connection:
        held_records.retry(session_on(connection, ORGANISATION, small.college.clock()), Selection(["L5"]))
    assert small.calls() == _ONE_NEW
    small.college.correct("L5", surname="Short")
    assert small.calls() == _ONE_NEW


def test_a_create_whose_answer_is_lost_is_looked_for_once(small: Small) -> None:
    small.college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    small.college.enrol("L5")
    assert small.calls() == _ONE_NEW
    # The search without a role does not return the role. A person may have created the account by hand, for a MISID is
    # not unique (§16), so it is read for what it has of the create. A search with the role shows that it is active.
    assert small.calls() == {"look for users": searches(1, 6, 50, there=1) + 1, "read a user": 2}
    assert small.calls() == {}


def test_a_create_that_did_not_happen_is_looked_for_once_before_it_is_made(small: Small) -> None:
    small.college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, path="/User"))
    small.college.enrol("L5")
    assert small.calls() == _ONE_NEW
    # What settles it finds that there is nobody with this MISID, and whose names these are was looked up before.
    assert small.calls() == _ONE_NEW | {"look for users": searches(1, 5, 50)}


def test_one_search_shows_that_the_search_is_up_to_date_with_a_lost_create(small: Small) -> None:
    small.college.with_policy(longest_search_lag=LONGEST_SEARCH_LAG)
    small.college.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, path="/User"))
    small.college.enrol("L5")
    small.calls()
    small.college.enrol("L6")
    small.calls()
    # It shows L6, which was created later, and then nobody with the MISID of L5.
    assert small.calls() == _ONE_NEW | {"look for users": 1 + searches(1, 6, 50)}


def test_an_update_whose_answer_is_lost_is_made_again_without_a_question(small: Small) -> None:
    small.college.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User/*", times=3))
    small.college.correct("L1", surname="Married")
    assert small.calls() == {"update a user": 3}
    assert small.calls() == {"update a user": 1}


def test_resync_of_one_misid_makes_calls_only_for_that_record(small: Small) -> None:
    small.college.correct("L1", surname="Married")
    small.college.correct("L2", surname="Married")
    small.college.enrol("L5", "L6")
    assert small.calls(Trigger.REQUEST, scope=Scope.of(["L1"])) == {"update a user": 1}
    assert small.calls(Trigger.REQUEST, scope=Scope.of(["L1"])) == {}
    assert small.calls(Trigger.REQUEST, scope=Scope.of(["L5"])) == _ONE_NEW


def test_a_verify_reads_each_account_once_and_then_those_that_were_touched(small: Small) -> None:
    small.pass_by(hours=60)
    verify = partial(verify_once, small.college.context, Trigger.VERIFY)
    # Nothing but reading it by id tells all that an account says (§8.6), except whether it is archived (U5): those that
    # a search by role leaves out are (U4).
    assert small.during(verify) == _LOG_IN | {"read a user": 4, "look for users": pages(4, 50)}
    small.pass_by(hours=60)
    # One search for what was changed since, one without a role, and the list of the role: an account that is not in it
    # is archived, even if archiving changes no LastModified (U29).
    assert small.during(verify) == _LOG_IN | {"look for users": 2 + pages(4, 50)}
    small.edit("L1", LastName="Other")
    searched = 4 + pages(4, 50)
    assert small.during(verify) == {"look for users": searched, "read a user": 1}
    assert small.during(partial(verify, fix=True)) == {"look for users": searched, "read a user": 1, "update a user": 1}
    assert small.during(partial(verify, full=True)) == {"read a user": 4, "look for users": pages(4, 50)}


def test_of_several_roles_each_is_asked_for_what_was_changed_in_it(open_whole: Open) -> None:
    """Only together with a role has the filter been seen to work (§8.6)."""
    watched = open_whole()
    watched.run()
    college = watched.whole.college
    verify = partial(verify_once, college.context, Trigger.VERIFY)
    college.clock.now += timedelta(hours=10)
    college.onefile.journal.clear()
    verify()
    # None of the four says whether it is archived (U5).
    assert calls_made(college.onefile.journal) == {"read a user": 4, "read a place": 2, "look for users": 4}
    # All are touched less than a day before: an assessor, an IQA, an employer and a learner.
    college.onefile.journal.clear()
    verify()
    # The search without a role alone finds who was archived (U4).
    searched = 4 * pages(1, 50) + pages(4, 50)
    assert calls_made(college.onefile.journal) == {"look for users": searched, "read a user": 4}


def test_find_links_pages_once_through_accounts_by_role_and_without_role(small: Small) -> None:
    _sow(small.college, *(f"X{number}" for number in range(60)))
    # By role, for that tells what each is; and without one, for the archived (U4). More are there than was expected, so
    # that larger pages are asked for after the first.
    by_role, without_a_role = 1 + pages(64, 500), 1 + pages(65, 500)
    small.college.onefile.journal.clear()
    find_links(small.college.context)
    made = Counter(call.status for call in small.college.onefile.journal)
    assert (made.total() - made[400], made[400]) == (by_role + without_a_role, 1)


def test_several_organisations_share_a_session_and_each_has_its_own_least(found: Found) -> None:
    other = 5741
    college = found()
    college.onefile.sow({"organisations": [{"ID": other, "Name": "Adult Learning"}]})
    college.onefile.world.users.clear()
    whole = Whole(college)
    for number in (ORGANISATION, other):
        whole.add(Role.PLACEMENT, f"P{number}", OrganisationID=number)
        whole.add(Role.CLASSROOM, f"C{number}", OrganisationID=number)
        whole.add(Role.ASSESSOR, f"A{number}", OrganisationID=number)
        codes = {"ClassroomMISID": f"C{number}", "PlacementMISID": f"P{number}", "DefaultAssessorMISID": f"A{number}"}
        whole.add(Role.LEARNER, f"L{number}", OrganisationID=number, **codes)
    whole.write()
    college.context = replace(college.context, organisations=(ORGANISATION, other))
    told = {number: Told(is_logged_in=number == other) for number in (ORGANISATION, other)}
    for _ in range(2):
        for number in (ORGANISATION, other):
            theirs = {
                role: [row for row in rows if row["OrganisationID"] == number] for role, rows in whole.people.items()
            }
            least = told[number].least(theirs, {}, college.onefile.world, number)
            college.onefile.journal.clear()
            assert run_once(college.context.for_organisation(number), Trigger.SCHEDULE).is_in_sync
            assert calls_made(college.onefile.journal) == least
            told[number].take(theirs, {}, college.clock.timestamp())


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
def test_references_need_one_lookup_per_kind_and_unknown_ones_wait(
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
    is_optional = not is_mandatory(Role.LEARNER, stands_for)
    assert small.college.held == ({} if is_optional else {"L4": "reference_not_found"})
    assert small.college.warnings == ({"L4": ("reference_not_found", stands_for)} if is_optional else {})
    assert small.calls() == {}
    small.pass_by(hours=2)
    assert small.calls() == calls_again, "OneFile may have it by now"
    small.college.correct("L4", code=known)
    assert small.calls() == dict.fromkeys(changes, 1), "what was found is known"
    small.college.correct("L1", code=known, surname="Married")
    assert small.calls() == {"update a user": 1}


_Rounds = list[list[tuple[Callable[[Watched, int], None], int]]]


def _learners(watched: Watched, number: int) -> None:
    watched.learners += (many := 60 if number > 110 else 1 + number % 5)
    for each in range(watched.learners - many, watched.learners):
        employer = "E1" if number % 2 else None
        watched.whole.learner(f"N{each}", DefaultEmployerMISID=employer, Telephone=f"01248 {each}")
        if employer:
            watched.whole.links[Role.EMPLOYER].append((f"N{each}", employer))


def _one_of(role: Role) -> Callable[[Watched, int], None]:
    def add(watched: Watched, number: int) -> None:
        misid = f"{role}{len(watched.whole.people[role])}"
        columns = {"PlacementMISID": "P1", "GrantAccess": [None, "no", "yes"][number % 3]}
        watched.whole.add(role, misid, **(columns if role is Role.EMPLOYER else {}))

    return add


def _told_otherwise(watched: Watched, number: int) -> None:
    """Some of them have another name, or lose one that OneFile keeps."""
    for role in watched.whole.people:
        row = watched.any(role, number)
        if role in PLACES:
            row["Name"] = f"{row['MISID']} {number}"
        else:
            row |= {"LastName": f"Example-{row['MISID']}-{number}", "Telephone": None}


def _moved(watched: Watched, number: int) -> None:
    row = watched.any(Role.LEARNER, number)
    for column, role in _REFERENCES.items():
        row[column] = watched.any(role, number)["MISID"]
    pair = (row["MISID"], watched.any(Role.EMPLOYER, number + 1)["MISID"])
    row["DefaultEmployerMISID"] = pair[1]
    if pair not in watched.whole.links[Role.EMPLOYER]:
        watched.whole.links[Role.EMPLOYER].append(pair)


def _examined(watched: Watched, number: int) -> None:
    pair = (watched.any(Role.LEARNER, number)["MISID"], watched.any(Role.IQA, number)["MISID"])
    if pair not in watched.whole.links[Role.IQA]:
        watched.whole.links[Role.IQA].append(pair)


def _let_in(watched: Watched, number: int) -> None:
    employer = watched.any(Role.EMPLOYER, number)
    employer["GrantAccess"] = "yes" if employer["GrantAccess"] == "no" else "no"
    employer["PlacementMISID"] = watched.any(Role.PLACEMENT, number)["MISID"]


def _gone(watched: Watched, number: int) -> None:
    row = watched.any(Role.LEARNER, number)
    known = {misid for role, misid in watched.told.there if role == Role.LEARNER}
    left = known & {learner["MISID"] for learner in watched.whole.people[Role.LEARNER]} - {row["MISID"]}
    # A run that loses most of a feed is stopped.
    if 2 * len(left) >= len(known):
        watched.whole.people[Role.LEARNER].remove(row)
        watched.gone.append(row)
        for pairs in watched.whole.links.values():
            pairs[:] = [pair for pair in pairs if pair[0] != row["MISID"]]


def _back(watched: Watched, _number: int) -> None:
    if watched.gone:
        row = watched.gone.pop()
        watched.whole.people[Role.LEARNER].append(row)
        pair = (row["MISID"], row["DefaultEmployerMISID"])
        if pair in watched.assigned:
            watched.whole.links[Role.EMPLOYER].append(pair)


def _taught_by_whom_no_feed_has(watched: Watched, number: int) -> None:
    tutors = [f"T{tutor}" for tutor in range(1 + number % 3)]
    _make_tutors(watched, *(misid for misid in tutors if not watched.world.users_with_misid(misid)))
    for place, misid in enumerate(tutors):
        watched.any(Role.LEARNER, number + place)["DefaultAssessorMISID"] = misid


def _hours_pass(watched: Watched, number: int) -> None:
    watched.whole.college.clock.go_on(hours=number % 30)
    # A session lives for a day, and a client need not use it to its last minute (§2).
    watched.restart()


def _restarted(watched: Watched, _number: int) -> None:
    watched.restart()


_REFERENCES = {
    "ClassroomMISID": Role.CLASSROOM,
    "PlacementMISID": Role.PLACEMENT,
    "DefaultAssessorMISID": Role.ASSESSOR,
}
_HAPPENINGS = [
    _learners,
    *map(_one_of, (Role.ASSESSOR, Role.IQA, Role.EMPLOYER, Role.CLASSROOM, Role.PLACEMENT)),
    _told_otherwise,
    _moved,
    _examined,
    _let_in,
    _gone,
    _back,
    _taught_by_whom_no_feed_has,
    _hours_pass,
    _restarted,
]
_ROUNDS = st.lists(st.lists(st.tuples(st.sampled_from(_HAPPENINGS), st.integers(0, 120)), max_size=3), max_size=5)


def _live(rounds: _Rounds, cap: int, *, keychain: bool) -> None:
    with TemporaryDirectory() as folder, ExitStack() as clients:
        store = Path(folder, "syncd.db")
        college = clients.enter_context(
            founded(Path(folder), f"sqlite:///{store}", keychain=keychain, page_cap=cap, employer_must_be_assigned=True)
        )
        watched = Watched.begun(college, clients, Told(keychain, page=min(cap, 1000)))
        watched.run()
        for happenings in rounds:
            for happen, number in happenings:
                happen(watched, number)
            watched.run()
        assert watched.run() == {}


@pytest.mark.parametrize("keychain", [False, pytest.param(True, marks=pytest.mark.slow)])
@given(rounds=_ROUNDS, cap=st.sampled_from([50, 100, 500, 5000]))
@settings(max_examples=4)
@pytest.mark.slow
def test_random_rounds_make_least_calls_for_a_college(keychain: bool, rounds: _Rounds, cap: int) -> None:
    _live(rounds, cap, keychain=keychain)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("keychain", [False, True])
@given(rounds=_ROUNDS, cap=st.sampled_from([50, 100, 500, 5000]))
@settings(max_examples=25)
def test_random_rounds_make_least_calls_for_many_colleges(keychain: bool, rounds: _Rounds, cap: int) -> None:
    _live(rounds, cap, keychain=keychain)


def test_linked_learner_gets_employer_assignment_then_one_update(
    open_whole: Open,
) -> None:
    watched = open_whole()
    watched.run()
    college = watched.whole.college
    _sow(college, "L2")
    _a_learner_with_employer(watched)
    watched.whole.write()
    college.onefile.journal.clear()

    assert run_once(college.context, Trigger.SCHEDULE).is_in_sync

    assert calls_made(college.onefile.journal) == {
        "look for users": searches(1, 6, 50, there=1) + 1,
        "read a user": 1,
        "assign somebody to a learner": 1,
        "update a user": 1,
    }
    assert college.outcomes("L2") == [("assign", "applied"), ("link", "applied")]

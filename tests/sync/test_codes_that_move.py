"""A code of the MIS that comes to stand for something else in OneFile: looked up once a day, and after a refusal."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest

from syncd.core.fields import Referent, Role
from syncd.core.guard import Limits
from syncd.core.records import Code
from syncd.core.run import RunState, Trigger
from syncd.core.scope import Scope
from syncd.errors import OneFileUnreachable
from syncd.simulator import Fault, FaultKind
from syncd.state import feed_digests, references
from syncd.sync import run
from syncd.sync.context import Feed, SyncContext
from syncd.sync.planner import GuardedPlan, make_plan
from syncd.sync.run import RunResult, run_once
from tests.support.calls import calls_made, finds, pages
from tests.support.college import College, Found
from tests.support.onefile import ASSESSOR, CLASSROOM, ORGANISATION, PLACEMENT
from tests.support.sessions import session_on

from .whole import Whole

_NEW = 400_001
_COLUMNS: Mapping[str, str] = {
    "MISID": "misid",
    "FirstName": "forename",
    "LastName": "surname",
    "Email": "email",
    "Telephone": "phone",
    "ClassroomID": str(CLASSROOM),
    "PlacementID": str(PLACEMENT),
    "DefaultAssessorID": str(ASSESSOR),
}


@dataclass(frozen=True)
class Kind:
    """One way in which the MIS names something that no feed has."""

    column: str
    """Empty for a default."""
    code: str
    field: str
    referent: Referent
    calls: Counter[str]
    """The least that find it again."""
    gone: Counter[str]
    """The least that find that it is gone."""
    old: int

    @property
    def by(self) -> str:
        return "MISID" if self.column.endswith("MISID") else "Name"

    def columns(self) -> Mapping[str, str]:
        """The columns of a feed of learners that have the code."""
        kept = {name: value for name, value in _COLUMNS.items() if name != self.field}
        return kept | ({self.column: f"'{self.code}'"} if self.column else {})

    def move(self, college: College) -> None:
        """Give the code to another account, as a person does by hand."""
        self.remove(college)
        self._make(college)

    def double(self, college: College) -> None:
        """Give the code to another account as well."""
        self._make(college)

    def remove(self, college: College) -> None:
        """Take the code away."""
        self._set(college, "-")

    def put_back(self, college: College) -> None:
        """Give the code back to the account that had it."""
        self._set(college, self.code)

    def _set(self, college: College, text: str) -> None:
        world = college.onefile.world
        match self.referent:
            case Referent.ASSESSOR if self.by == "Name":
                world.users[self.old].values["FirstName"], _, world.users[self.old].values["LastName"] = text.partition(
                    " "
                )
            case Referent.ASSESSOR:
                world.users[self.old].values["MISID"] = text
            case Referent.CLASSROOM:
                world.classrooms.by_id[self.old].values[self.by] = text
            case Referent.PLACEMENT:
                world.placements.by_id[self.old].values[self.by] = text
            case _:
                world.organisations.by_id[ORGANISATION].learner_statuses[self.old] = text

    def _make(self, college: College) -> None:
        named: dict[str, Any] = {"ID": _NEW, "OrganisationID": ORGANISATION, "MISID": "new", "Name": "New"}
        match self.referent:
            case Referent.ASSESSOR:
                first, _, last = self.code.partition(" ")
                names = {"FirstName": first, "LastName": last} if self.by == "Name" else {"MISID": self.code}
                college.onefile.sow({"users": [{"ID": _NEW, "OrganisationID": ORGANISATION, "Role": 5, **names}]})
            case Referent.CLASSROOM:
                college.onefile.sow({"classrooms": [named | {self.by: self.code}]})
            case Referent.PLACEMENT:
                college.onefile.sow({"placements": [named | {self.by: self.code}]})
            case _:
                college.onefile.world.organisations.by_id[ORGANISATION].learner_statuses[_NEW] = self.code


_ONE_PAGE = pages(1, 50)
_LIST = Counter({"list places": _ONE_PAGE})
_STATUSES = Counter({"read the learner statuses": 1})
#: Of two roles, the one is searched for whoever is not found in the other.
_FOUND, _MISSED = Counter({"look for users": finds(1, 1, 50)}), Counter({"look for users": 2})
_KINDS = {
    "assessor": Kind("DefaultAssessorMISID", "A1", "DefaultAssessorID", Referent.ASSESSOR, _FOUND, _MISSED, ASSESSOR),
    "class by name": Kind(
        "ClassroomName", "Business Admin L2", "ClassroomID", Referent.CLASSROOM, _LIST, _LIST, CLASSROOM
    ),
    "class by MISID": Kind("ClassroomMISID", "C1", "ClassroomID", Referent.CLASSROOM, _LIST, _LIST, CLASSROOM),
    "placement by name": Kind(
        "PlacementName", "Default Placement", "PlacementID", Referent.PLACEMENT, _LIST, _LIST, PLACEMENT
    ),
    "status": Kind(
        "LearnerStatusName", "Withdrawn", "LearnerStatusID", Referent.LEARNER_STATUS, _STATUSES, _STATUSES, 2
    ),
    "default assessor by name": Kind(
        "",
        "Siân Pryce",
        "DefaultAssessorID",
        Referent.ASSESSOR,
        Counter({"look for users": _ONE_PAGE}),
        # Of the trainees there are none, which their first page says.
        Counter({"look for users": _ONE_PAGE + 1}),
        ASSESSOR,
    ),
}
#: One that is searched for, one that is listed, and a default; the others wait for the gate.
_FIRST = {"assessor", "class by name", "default assessor by name"}


class Site:
    """A college whose learners have a code that no feed answers to."""

    def __init__(self, college: College, kind: Kind) -> None:
        self.college = college
        self.kind = kind
        if kind.referent is Referent.LEARNER_STATUS:
            statuses = [{"ID": 1, "Name": "Active"}, {"ID": 2, "Name": kind.code}]
            college.onefile.sow({"organisations": [{"ID": ORGANISATION, "LearnerStatuses": statuses}]})
        kind.put_back(college)
        if not kind.column:
            college.with_policy(defaults={kind.field: Code(kind.referent, "Name", kind.code)})
        self.with_columns(kind.columns())
        college.enrol("L1", "L2", "L3")
        assert self.poll().is_in_sync
        self.settle()

    def with_columns(self, columns: Mapping[str, str]) -> None:
        """Have the feed of learners yield these columns."""
        selected = ", ".join(f"{value} AS {name}" for name, value in columns.items())
        self.college.with_feed(f"SELECT {selected} FROM person ORDER BY misid")

    def poll(self, trigger: Trigger = Trigger.SCHEDULE, **options: Any) -> RunResult:
        """One run, as the daemon makes it."""
        return run_once(self.college.context, trigger, **options)

    def settle(self) -> None:
        """Poll until what was sent is remembered as unchanged."""
        self.poll()
        self.poll()
        self.pass_by(minutes=1)
        self.college.onefile.journal.clear()

    def pass_by(self, **time: float) -> None:
        self.college.clock.go_on(**time)

    def made(self) -> Counter[str]:
        """The calls since this was last asked, without log-ins, which are needed once a day."""
        calls = calls_made(self.college.onefile.journal) - Counter({"log in": 1})
        self.college.onefile.journal.clear()
        return calls

    def told(self) -> list[dict[str, Any]]:
        """The fields of the writes since this was last asked."""
        return [body for _, body in self.college.writes()]

    def ids(self) -> dict[str, Any]:
        """What OneFile has in the field, by MISID of the learners."""
        return {
            str(user.misid): user.values[self.kind.field]
            for user in self.college.onefile.world.users.values()
            if user.role == 1
        }

    def stored(self) -> dict[str, object]:
        """What the store knows of codes."""
        with self.college.context.store.begin() as connection:
            found = references.looked_up(session_on(connection, ORGANISATION))
        return {code.text: each.meaning for code, each in found.items()}


Open = Callable[..., Site]


@pytest.fixture
def site(found: Found) -> Site:
    return Site(found(), _KINDS["assessor"])


_ALL = [pytest.param(kind, marks=() if kind in _FIRST else pytest.mark.slow) for kind in _KINDS]


@pytest.fixture(params=[kind for kind in _ALL if kind.values != ("status",)])
def mandatory_site(found: Found, request: pytest.FixtureRequest) -> Site:
    """A college whose learners cannot be created without the code."""
    return Site(found(), _KINDS[request.param])


@pytest.fixture(params=_ALL)
def any_site(found: Found, request: pytest.FixtureRequest) -> Site:
    return Site(found(), _KINDS[request.param])


def test_a_code_that_moves_is_one_update_of_one_field_within_a_day(any_site: Site) -> None:
    site = any_site
    site.kind.move(site.college)
    site.pass_by(hours=23)
    site.college.enrol("L4")
    assert site.poll().is_in_sync
    assert set(site.ids().values()) == {site.kind.old}, "it was looked up less than a day ago"
    site.settle()

    site.pass_by(hours=2)
    site.college.enrol("L5")
    assert site.poll().is_in_sync

    assert site.ids() == dict.fromkeys(("L1", "L2", "L3", "L4", "L5"), _NEW)
    updates = [body for path, body in site.college.writes() if path != "/User"]
    assert updates == [{site.kind.field: _NEW}] * 4
    site.settle()
    site.poll()
    assert site.made() == {}


def test_a_day_of_polls_looks_each_code_up_once_and_makes_no_other_call(any_site: Site) -> None:
    site = any_site
    with_calls = []
    for number in range(24 * 3):
        site.pass_by(hours=1)
        assert site.poll().is_in_sync
        if calls := site.made():
            assert calls == site.kind.calls
            with_calls.append(number)
    assert len(with_calls) == 3, with_calls
    assert all(later - earlier <= 24 for earlier, later in pairwise(with_calls))


def test_a_code_that_is_gone_holds_its_records_and_changes_no_account(mandatory_site: Site) -> None:
    site = mandatory_site
    site.kind.remove(site.college)
    site.pass_by(hours=25)
    site.college.enrol("L4")
    site.college.correct("L2", phone="0113")

    site.poll()

    assert site.college.held == dict.fromkeys(("L1", "L2", "L3", "L4"), "reference_not_found")
    assert (
        site.college.detail("L1") == f"OneFile has no {site.kind.referent} with the {site.kind.by} {site.kind.code!r}"
    )
    assert site.made() == site.kind.gone
    for _ in range(3):
        site.pass_by(minutes=15)
        site.poll()
    assert site.made() == {}, "it is looked for again after an hour"

    site.kind.put_back(site.college)
    site.pass_by(minutes=16)
    assert site.poll().is_in_sync
    assert [body for body in site.told() if "FirstName" not in body] == [{"Telephone": "0113"}]
    assert set(site.ids().values()) == {site.kind.old}
    assert site.college.held == {}


def test_a_code_that_several_have_holds_its_records_until_one_has_it(mandatory_site: Site) -> None:
    site = mandatory_site
    site.kind.double(site.college)
    site.pass_by(hours=25)
    site.college.enrol("L4")

    site.poll()

    assert site.college.held == dict.fromkeys(("L1", "L2", "L3", "L4"), "ambiguous")
    assert site.made() == site.kind.calls
    for _ in range(3):
        site.pass_by(minutes=15)
        site.poll()
    assert site.college.held == dict.fromkeys(("L1", "L2", "L3", "L4"), "ambiguous")
    assert site.made() == {}

    site.kind.remove(site.college)
    site.pass_by(minutes=16)
    assert site.poll().is_in_sync
    assert site.ids() == dict.fromkeys(("L1", "L2", "L3", "L4"), _NEW)
    assert [body for body in site.told() if "FirstName" not in body] == [{site.kind.field: _NEW}] * 3


@pytest.mark.parametrize("reason", ["reference_not_found", "ambiguous"])
def test_an_optional_code_without_an_id_is_left_out_until_it_has_one(found: Found, reason: str) -> None:
    site = Site(found(), _KINDS["status"])
    (site.kind.remove if reason == "reference_not_found" else site.kind.double)(site.college)
    site.pass_by(hours=25)
    site.college.enrol("L4")
    site.college.correct("L2", surname="Married")

    assert site.poll().is_in_sync

    assert site.college.held == {}
    assert site.college.warnings == dict.fromkeys(("L1", "L2", "L3", "L4"), (reason, site.kind.field))
    new, changed = sorted(site.told(), key=len, reverse=True)
    assert (new["MISID"], site.kind.field in new, changed) == ("L4", False, {"LastName": "Married"})
    for _ in range(3):
        site.pass_by(minutes=15)
        assert site.poll().is_in_sync
    assert site.made() == {}, "it is looked for again after an hour"
    assert len(site.college.warnings) == 4

    site.kind.remove(site.college)
    site.kind.put_back(site.college)
    site.college.onefile.world.organisations.by_id[ORGANISATION].learner_statuses.pop(_NEW, None)
    site.pass_by(minutes=16)
    assert site.poll().is_in_sync
    assert site.told() == [{site.kind.field: site.kind.old}], "only L4 lacks it"
    assert site.college.warnings == {}


@pytest.mark.parametrize("trigger", [Trigger.COMMAND, Trigger.REQUEST])
def test_a_code_held_as_gone_is_looked_for_by_each_run_by_hand(site: Site, trigger: Trigger) -> None:
    site.kind.remove(site.college)
    site.pass_by(hours=25)
    site.poll()
    site.kind.put_back(site.college)

    assert site.poll(trigger).is_in_sync


def test_a_refusal_has_the_code_looked_up_and_the_record_sent_again(any_site: Site) -> None:
    site = any_site
    site.pass_by(hours=1)
    site.kind.move(site.college)
    _retire(site)
    site.college.enrol("L4")

    assert site.poll().refused == 1
    assert site.college.held == {"L4": "refused"}
    site.made()
    assert site.poll().is_in_sync

    assert site.ids() == dict.fromkeys(("L1", "L2", "L3", "L4"), _NEW)
    assert site.college.outcomes("L4") == [("create", "refused"), ("create", "applied")]


def test_an_update_that_sends_a_refused_id_is_sent_again_with_another(site: Site) -> None:
    site.with_columns({**site.kind.columns(), "DefaultAssessorMISID": "assessor"})
    site.college.enrol("L0", assessor="A2")
    site.college.onefile.sow({"users": [{"ID": 7, "OrganisationID": ORGANISATION, "Role": 5, "MISID": "A2"}]})
    assert site.poll().is_in_sync
    site.settle()
    site.kind.move(site.college)
    _retire(site)
    site.college.correct("L0", assessor="A1")

    assert site.poll().refused == 1
    site.made()
    assert site.poll().is_in_sync

    assert site.ids() == dict.fromkeys(("L0", "L1", "L2", "L3"), _NEW)
    assert site.college.outcomes("L0")[-2:] == [("update", "refused"), ("update", "applied")]


def test_a_refusal_with_ids_that_still_hold_is_checked_once(found: Found) -> None:
    site = Site(found(strict=True), _KINDS["assessor"])
    site.college.enrol("L4", surname="Long" * 20)
    assert site.poll().refused == 1
    site.made()

    site.poll()
    assert site.made() == site.kind.calls
    for _ in range(20):
        site.pass_by(minutes=15)
        assert site.poll().held == 1
    assert site.made() == {}
    site.pass_by(hours=24)
    site.poll()
    assert site.made() == site.kind.calls, "once a day, like every code"
    assert site.college.outcomes("L4") == [("create", "refused")]


def test_a_code_looked_up_by_the_run_that_is_refused_is_not_checked(found: Found) -> None:
    site = Site(found(strict=True), _KINDS["assessor"])
    site.with_columns({**site.kind.columns(), "DefaultAssessorMISID": "assessor"})
    site.college.onefile.sow({"users": [{"ID": 7, "OrganisationID": ORGANISATION, "Role": 5, "MISID": "A2"}]})
    site.college.enrol("L4", assessor="A2", surname="Long" * 20)
    assert site.poll().refused == 1
    site.made()

    site.pass_by(minutes=15)
    site.poll()
    site.poll()

    assert site.made() == {}


def test_a_refused_update_that_sends_no_id_has_no_code_looked_up(found: Found) -> None:
    site = Site(found(strict=True), _KINDS["assessor"])
    site.college.correct("L1", surname="Long" * 20)
    assert site.poll().refused == 1
    site.made()

    site.poll()
    site.poll()

    assert site.made() == {}


def test_a_refusal_checks_only_the_codes_of_its_record(site: Site) -> None:
    site.with_columns({**site.kind.columns(), "DefaultAssessorMISID": "assessor"})
    site.college.onefile.sow({"users": [{"ID": 7, "OrganisationID": ORGANISATION, "Role": 5, "MISID": "A2"}]})
    site.college.enrol("L0", assessor="A2")
    assert site.poll().is_in_sync
    site.settle()
    site.college.onefile.world.users[7].is_archived = True
    site.college.enrol("L4", assessor="A2")
    assert site.poll().refused == 1
    site.college.onefile.journal.clear()

    site.poll()

    searched = [call.body["MISID"] for call in site.college.onefile.journal if call.is_search]
    assert set(searched) == {"A2"}
    assert site.college.held == {"L0": "reference_not_found", "L4": "reference_not_found"}


def test_a_refused_grant_has_its_placement_looked_up(found: Found) -> None:
    whole = Whole(found())
    whole.add(Role.EMPLOYER, "E1", PlacementName="Default Placement", GrantAccess="no")
    whole.write()
    context = whole.college.context
    assert run_once(context, Trigger.SCHEDULE).is_in_sync
    places = whole.college.onefile.world.placements.by_id
    places[_NEW] = replace(places[PLACEMENT], id=_NEW)
    del places[PLACEMENT]
    whole.people[Role.EMPLOYER][0]["GrantAccess"] = "yes"
    whole.write()

    assert run_once(context, Trigger.SCHEDULE).refused == 1
    assert run_once(context, Trigger.SCHEDULE).is_in_sync

    (employer,) = whole.college.onefile.world.users_with_misid("E1")
    assert employer.values["PlacementID"] == _NEW
    assert whole.college.onefile.world.placement_access[employer.id, _NEW] is True


@pytest.mark.parametrize("change", ["an employer to be assigned first", "a value that is gone"])
def test_a_record_refused_in_part_is_sent_again_only_if_it_changes(found: Found, change: str) -> None:
    whole = Whole(found(strict=True, employer_must_be_assigned=True))
    whole.add_everything()
    learner = whole.people[Role.LEARNER][0] | {"Telephone": "0113 1"}
    whole.people[Role.LEARNER] = [learner]
    whole.links = {Role.EMPLOYER: [("L1", "E1")]}
    if change == "a value that is gone":
        assert whole.run().is_in_sync
        learner["Telephone"] = None
    learner["LastName"] = "Long" * 20
    whole.run()
    whole.run()
    whole.college.onefile.journal.clear()

    for _ in range(3):
        assert whole.run().held > 0
    assert calls_made(whole.college.onefile.journal) == {}
    assert whole.college.held["L1"] == "refused"

    learner["LastName"] = "Short"
    assert whole.run().is_in_sync


def test_plan_by_hand_looks_an_outdated_code_up_and_stores_nothing(site: Site) -> None:
    site.pass_by(hours=25)
    site.kind.move(site.college)

    for _ in range(2):
        plan = make_plan(site.college.context).plan
        assert [update.fields for update in plan.updates] == [{"DefaultAssessorID": _NEW}] * 3
    assert site.stored() == {"A1": ASSESSOR}
    assert site.poll().is_in_sync
    assert site.stored() == {"A1": _NEW}
    site.made()
    make_plan(site.college.context)
    site.poll(Trigger.COMMAND)
    assert site.made() == {}, "less than a day has passed since"


def test_a_run_for_one_person_checks_the_codes_of_that_person(site: Site) -> None:
    site.kind.move(site.college)
    site.pass_by(hours=25)

    assert site.poll(Trigger.REQUEST, scope=Scope.of(["L2"])).sent == 1
    assert site.ids() == {"L1": ASSESSOR, "L2": _NEW, "L3": ASSESSOR}
    site.made()
    assert site.poll().is_in_sync
    assert site.made() == {"update a user": 2}, "what was found for one is known for all"


def test_codes_of_different_age_come_to_be_looked_up_together(site: Site) -> None:
    site.with_columns({**site.kind.columns(), "DefaultAssessorMISID": "assessor"})
    people = [
        {"ID": 7 + number, "OrganisationID": ORGANISATION, "Role": 5, "MISID": f"A{2 + number}"} for number in (0, 1)
    ]
    site.college.onefile.sow({"users": people})
    for number in (2, 3):
        site.pass_by(hours=5)
        site.college.enrol(f"L{number + 2}", assessor=f"A{number}")
        assert site.poll().is_in_sync
        site.settle()

    polls = []
    for _ in range(24 * 3):
        site.pass_by(hours=1)
        site.poll()
        polls.append(site.made())
    assert [calls for calls in polls if calls] == [{"look for users": finds(3, 3, 50)}] * 3


def test_a_code_that_no_record_has_any_more_is_not_looked_up(site: Site) -> None:
    site.with_columns(_COLUMNS)
    assert site.poll().is_in_sync
    site.settle()

    generations = set()
    for _ in range(24 * 2):
        site.pass_by(hours=1)
        site.poll()
        with site.college.context.store.begin() as connection:
            generations.add(feed_digests.remembered(session_on(connection, ORGANISATION, site.college.clock())).read_at)
    assert site.made() == {}
    assert site.stored() == {}
    assert len(generations) <= 4, "everything is read in full about once a day"


def test_an_account_in_a_feed_is_not_looked_up_for_the_code(found: Found) -> None:
    whole = Whole(found())
    whole.add_everything()
    whole.write()
    assert run_once(whole.college.context, Trigger.SCHEDULE).is_in_sync
    whole.college.clock.go_on(hours=25)
    whole.college.onefile.journal.clear()

    run_once(whole.college.context, Trigger.SCHEDULE)

    assert calls_made(whole.college.onefile.journal) == {}


def test_too_many_updates_by_one_moved_code_wait_for_approval(site: Site) -> None:
    site.college.with_policy(limits=Limits(percent=0, floor=2))
    site.kind.move(site.college)
    site.pass_by(hours=25)

    assert site.poll().state is RunState.AWAITING_APPROVAL
    site.made()
    for _ in range(3):
        site.pass_by(minutes=15)
        assert site.poll().state is RunState.AWAITING_APPROVAL
    assert site.made() == {}, "what was found is kept while the run waits"
    assert set(site.ids().values()) == {ASSESSOR}

    assert site.poll(approved_by="an operator").is_in_sync
    assert set(site.ids().values()) == {_NEW}


@pytest.mark.parametrize("fault", [FaultKind.UNAVAILABLE, FaultKind.DROP_BEFORE])
def test_a_check_that_gets_no_answer_is_made_by_the_next_poll(site: Site, fault: FaultKind) -> None:
    site.kind.move(site.college)
    site.pass_by(hours=25)
    site.college.onefile.faults.add(Fault(fault, path="/User/Search/*", times=20))

    with pytest.raises(OneFileUnreachable):
        site.poll()
    site.college.onefile.faults.clear()
    assert set(site.ids().values()) == {ASSESSOR}
    assert site.poll().is_in_sync
    assert set(site.ids().values()) == {_NEW}


def test_after_the_clock_was_set_back_codes_are_looked_up_once(site: Site) -> None:
    site.pass_by(days=-400)
    site.poll()
    assert site.made() == site.kind.calls
    for _ in range(3):
        site.pass_by(minutes=15)
        site.poll()
    assert site.made() == {}


def test_each_organisation_looks_up_its_own_codes(found: Found) -> None:
    site = Site(found(), _KINDS["assessor"])
    other = 5741
    site.college.onefile.sow(
        {
            "organisations": [{"ID": other, "Name": "Adult Learning"}],
            "users": [{"ID": 7, "OrganisationID": other, "Role": 5, "MISID": "A1"}],
            "classrooms": [{"ID": 8, "OrganisationID": other, "Name": "Art"}],
            "placements": [{"ID": 9, "OrganisationID": other, "Name": "Here"}],
        }
    )
    where = "CASE misid WHEN 'M1' THEN {} ELSE {} END"
    site.with_columns(
        {
            **site.kind.columns(),
            "OrganisationID": where.format(other, ORGANISATION),
            "ClassroomID": where.format(8, CLASSROOM),
            "PlacementID": where.format(9, PLACEMENT),
        }
    )
    site.college.enrol("M1")
    context = replace(site.college.context, organisations=(ORGANISATION, other))
    turns = [context, context.for_organisation(other)]
    for turn in turns:
        assert run_once(turn, Trigger.SCHEDULE).is_in_sync
    site.kind.move(site.college)
    site.pass_by(hours=25)

    for turn in turns:
        assert run_once(turn, Trigger.SCHEDULE).is_in_sync

    assert site.ids() == {"L1": _NEW, "L2": _NEW, "L3": _NEW, "M1": 7}


@pytest.mark.parametrize("watermark", [pytest.param(False, marks=pytest.mark.slow), True])
def test_polls_plan_what_full_reads_do_while_codes_move(
    found: Found, watermark: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(found(), _KINDS["assessor"])
    columns = {**site.kind.columns(), "DefaultAssessorMISID": "assessor", "ClassroomName": "classroom"}
    del columns["ClassroomID"]
    site.with_columns(columns)
    if watermark:
        (feed,) = site.college.context.feeds
        query = feed.query.replace("SELECT ", "SELECT phone AS changed, ").replace(" ORDER BY misid", "")
        site.college.context = replace(
            site.college.context, feeds=(Feed(feed.name, feed.role, query, watermark="changed"),)
        )
        for misid in ("L1", "L2", "L3"):
            site.college.correct(misid, phone="0000")
    people = [{"ID": 7, "OrganisationID": ORGANISATION, "Role": 5, "MISID": "A2"}]
    site.college.onefile.sow(
        {"users": people, "classrooms": [{"ID": 8, "OrganisationID": ORGANISATION, "Name": "Art"}]}
    )
    ways: Counter[str] = Counter()

    def compare_both(context: SyncContext, scope: Scope, ambiguous: Any, **options: Any) -> GuardedPlan:
        planned = make_plan(context, scope, ambiguous, **options)
        full = make_plan(context, scope, ambiguous, **{**options, "is_poll": False})
        assert sorted(map(repr, planned.plan.steps())) == sorted(map(repr, full.plan.steps()))
        assert sorted(map(repr, planned.plan.held)) == sorted(map(repr, full.plan.held))
        assert planned.plan.unchanged == full.plan.unchanged
        ways["full" if planned.read_result is None or planned.read_result.is_full else "incremental"] += 1
        return planned

    monkeypatch.setattr(run, "make_plan", compare_both)
    world = site.college.onefile.world
    happenings: list[Callable[[], object]] = [
        lambda: site.college.enrol("L4", assessor="A2", phone="0010"),
        lambda: site.kind.move(site.college),
        lambda: site.college.enrol("L5", phone="0011"),
        lambda: setattr(world.users[7], "is_archived", True),
        lambda: site.college.enrol("L6", assessor="A2", phone="0012"),
        lambda: world.classrooms.by_id[CLASSROOM].values.update(Name="-"),
        lambda: site.college.correct("L5", classroom="Art", phone="0013"),
        lambda: setattr(world.users[7], "is_archived", False),
        lambda: world.classrooms.by_id[8].values.update(Name="Business Admin L2"),
        lambda: site.college.correct("L6", surname="Other", phone="0014"),
    ]
    for happen in happenings:
        happen()
        for hours in (0.25, 0.25, 7, 13, 5):
            site.pass_by(hours=hours)
            site.poll()
    assert min(ways["full"], ways["incremental"]) > 10, ways
    assert site.college.held == {"L5": "reference_not_found"}
    assert set(site.ids().values()) <= {_NEW, 7}


def _retire(site: Site) -> None:
    """Have OneFile refuse the id that the code stood for."""
    world = site.college.onefile.world
    match site.kind.referent:
        case Referent.ASSESSOR:
            world.users[site.kind.old].is_archived = True
        case Referent.CLASSROOM:
            del world.classrooms.by_id[site.kind.old]
        case Referent.PLACEMENT:
            del world.placements.by_id[site.kind.old]
        case _:
            del world.organisations.by_id[ORGANISATION].learner_statuses[site.kind.old]

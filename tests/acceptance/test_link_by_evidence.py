"""First contact with a OneFile whose accounts have no MISID, another one, or that of somebody else."""

import csv
import sqlite3
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from syncd.core.fields import Role
from syncd.simulator import LimiterShape, Simulator, Switches
from tests.support.command import UNHURRIED, Exit, Syncd
from tests.support.onefile import CLASSROOM, ORGANISATION, PLACEMENT

pytestmark = pytest.mark.slow

_FILE: Final = "onefile-links.csv"
_ASSESSORS: Final = 15
_LEARNERS: Final = 40
_NORTH, _SOUTH, _OTHER = 501, 502, 503
_FIRST_NAMES: Final = ("Ann", "Ben", "Cai", "Dee", "Eli", "Fay", "Gus", "Hua")
_FEEDS: Final = {
    Role.PLACEMENT: ("placements", "MISID, Name"),
    Role.ASSESSOR: ("assessors", "MISID, FirstName, LastName, Email"),
    Role.IQA: ("iqas", "MISID, FirstName, LastName, Email"),
    Role.EMPLOYER: ("employers", "MISID, FirstName, LastName, Email, PlacementMISID"),
    Role.OBSERVER: ("observers", "MISID, FirstName, LastName, Email, PlacementName"),
    Role.LEARNER: (
        "learners",
        "MISID, FirstName, LastName, Email, DOB, DefaultAssessorMISID, ClassroomID, PlacementID",
    ),
}
#: The learners who have no account: a twin, a father, the owner of a MISID that is on another account, a newcomer.
_NEWCOMERS: Final = {"L42", "L43", "L50", "L51"}


class College:
    """An MIS with feeds of every role, a OneFile, and which record each of its accounts belongs to."""

    def __init__(self, folder: Path, onefile: Simulator) -> None:
        self.onefile = onefile
        self.owners: dict[int, tuple[Role, str]] = {}
        self._mis = folder / "mis.db"
        self.syncd = Syncd(
            folder / "syncd",
            onefile.customer_token,
            {
                "onefile": {
                    "base_url": onefile.base_url,
                    "organisation_id": ORGANISATION,
                    "calls_per_minute": UNHURRIED,
                },
                "source": {"url": f"sqlite:///{self._mis}"},
                "schedule": {"quiet": []},
                "admin": {"listen": ""},
            },
            f"SELECT {_FEEDS[Role.LEARNER][1]} FROM learners",
        )
        for role, (name, columns) in _FEEDS.items():
            self._change(f"CREATE TABLE {name} ({columns})")
            if role is not Role.LEARNER:
                self.syncd.add_feed(name, role, f"SELECT {columns} FROM {name}")

    def enter(self, role: Role, *values: object) -> None:
        """Enter a record in the MIS; the values are in the order of the feed's columns."""
        self._change(f"INSERT INTO {_FEEDS[role][0]} VALUES ({', '.join('?' * len(values))})", *values)

    def _change(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self._mis)
        with connection:
            connection.execute(statement, values)
        connection.close()

    def learner(self, misid: str, first: str, last: str, email: str, dob: str | None = "2005-03-04") -> None:
        self.enter(Role.LEARNER, misid, first, last, email, dob, "A01", CLASSROOM, PLACEMENT)

    def account(self, role: Role, misid: str, first: str, last: str, **values: Any) -> int:
        """Have an account in OneFile, which is that of a record."""
        user_id = 700_000 + len(self.owners)
        self.owners[user_id] = role, misid
        user = {"ID": user_id, "OrganisationID": ORGANISATION, "Role": role.number, "FirstName": first}
        self.onefile.sow({"users": [{**user, "LastName": last, **values}]})
        return user_id

    def answer(self) -> Counter[str]:
        """Answer the file of proposals truthfully, and count the answers by reason."""
        with (self.syncd.folder / _FILE).open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
        linked: set[tuple[Role, str]] = set()
        answered: Counter[str] = Counter()
        for row in rows:
            owner = self.owners.get(int(row["user_id"])) if row["role"] not in {"Placement", "Classroom"} else None
            is_right = (owner not in linked and owner == (row["role"], row["misid"])) or row["misid"] == "S4"
            row["apply"] = "yes" if is_right else "no"
            answered[row["reason"] if is_right else "no"] += 1
            if is_right and owner:
                linked.add(owner)
        with (self.syncd.folder / _FILE).open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        return answered

    def created(self) -> list[tuple[int, str]]:
        """The role and MISID of every account that was created."""
        calls = [call for call in self.onefile.journal.writes if call.path == "/User"]
        assert all(call.status == HTTPStatus.OK for call in calls)
        return [(call.body["Role"], call.body["MISID"]) for call in calls]

    def misid_of(self, user_id: int) -> str | None:
        """The MISID that OneFile has on an account."""
        return self.onefile.world.users[user_id].misid


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    """A college whose people OneFile knows already: half of them without a MISID, half with a different one."""
    with Simulator(Switches(limiter=LimiterShape.OFF)) as onefile:
        college = College(tmp_path, onefile)
        for number in range(_ASSESSORS):
            first, last = _FIRST_NAMES[number % 8], f"Tutor{chr(97 + number)}"
            misid, email = f"A{number + 1:02}", f"{first}.{last}@staff.example.org"
            college.enter(Role.ASSESSOR, misid, first, last, email)
            college.account(Role.ASSESSOR, misid, first, last, Email=email.upper(), **_misid(number, f"T-{number}"))
        for number in range(_LEARNERS):
            first, last = _FIRST_NAMES[number % 8], f"Learner{chr(97 + number // 4)}"
            misid, email = f"L{number + 1:02}", f"{number}@students.example.org"
            college.learner(misid, first, last, email, f"2005-01-{number % 28 + 1:02}")
            values = {"Email": email, "DOB": f"2005-01-{number % 28 + 1:02}T00:00:00"}
            college.account(Role.LEARNER, misid, first, last, **values, **_misid(number, f"{number:06}"))
        yield college


def _misid(number: int, other: str) -> dict[str, str]:
    return {"MISID": other} if number % 2 else {}


def _add_neighbours(college: College) -> None:
    """Add people who resemble others, and accounts that are wrong in other ways."""
    dob = "2005-03-04T00:00:00"
    college.learner("L41", "Tom", "Reed", "reed@home.example.org")
    college.learner("L42", "Ada", "Reed", "reed@home.example.org")
    college.account(Role.LEARNER, "L41", "Tom", "Reed", DOB=dob, Email="reed@home.example.org")
    college.learner("L43", "John", "Parr", "parr@home.example.org", "1970-02-03")
    college.learner("L44", "John", "Parr", "parr@home.example.org")
    college.account(Role.LEARNER, "L44", "John", "Parr", DOB=dob, Email="parr@home.example.org", MISID="X-44")
    college.learner("L45", "Ida", "Nodate", "ida@example.org")
    college.account(Role.LEARNER, "L45", "Ida", "Nodate", Email="ida@example.org")
    college.learner("L46", "Abe", "Archived", "abe@example.org")
    college.account(Role.LEARNER, "L46", "Abe", "Archived", DOB=dob, Archived=True)
    college.learner("47", "Zoe", "Zeros", "zoe@example.org")
    college.account(Role.LEARNER, "47", "Zoe", "Zeros", MISID="00047")
    college.learner("L48", "Dot", "Double", "dot@example.org")
    for _ in range(2):
        college.account(Role.LEARNER, "L48", "Dot", "Double", DOB=dob)
    college.learner("L49", "Mia", "Stone", "mia@example.org")
    college.learner("L50", "Ben", "Frost", "frost@example.org", "2004-04-04")
    college.account(Role.LEARNER, "L49", "Mia", "Stone", DOB=dob, MISID="L50")
    college.learner("L51", "New", "Comer", "new@example.org")
    for role in (Role.ASSESSOR, Role.IQA):
        college.enter(role, "T1", "Una", "Teacher", "una@example.org")
        college.account(role, "T1", "Una", "Teacher", Email="una@example.org", MISID="old-T1")


def _add_places(college: College) -> tuple[int, int, int]:
    """Add placements, employers and an observer; returns the accounts of the two employers and of the observer."""
    here = {"OrganisationID": ORGANISATION}
    names = {_NORTH: "North Works", _SOUTH: "South Works", _OTHER: "Has other"}
    misids = {_NORTH: {"MISID": "P1"}, _SOUTH: {}, _OTHER: {"MISID": "ZZ"}}
    college.onefile.sow({"placements": [{**here, "ID": each, "Name": names[each], **misids[each]} for each in names]})
    for misid, name in (("P1", "North Works"), ("P2", "South Works"), ("S4", "Has other")):
        college.enter(Role.PLACEMENT, misid, name)
    for number, placement in enumerate(("P1", "P2"), start=1):
        college.enter(Role.EMPLOYER, f"E{number}", "Sam", "Lee", f"sam{number}@example.org", placement)
    # In the other order than the records.
    second = college.account(Role.EMPLOYER, "E2", "Sam", "Lee", PlacementID=_SOUTH)
    first = college.account(Role.EMPLOYER, "E1", "Sam", "Lee", PlacementID=_NORTH, MISID="E-old")
    college.enter(Role.OBSERVER, "O1", "Obi", "Server", "obi@example.org", "Has other")
    observer = college.account(Role.OBSERVER, "O1", "Obi", "Server", PlacementID=_OTHER)
    return first, second, observer


def _sync(college: College) -> Exit:
    stopped = college.syncd("sync")
    if stopped.exit == Exit.AWAITING_APPROVAL:
        assert college.syncd("approve").exit == Exit.IN_STEP
        stopped = college.syncd("sync")
    return Exit(stopped.exit)


def test_accounts_without_or_with_another_misid_are_all_linked(college: College) -> None:
    found = college.syncd("link")
    assert found.exit == Exit.IN_STEP, found.stderr
    assert "Compared: 55 records of people, 55 accounts in OneFile." in found.stdout
    assert f"Proposed in {_FILE}: 55 matches for 55 records." in found.stdout
    assert college.answer() == {"no MISID": 28, "another MISID": 27}
    assert college.onefile.journal.writes == []

    applied = college.syncd("link", "--apply", _FILE, "--approve")

    assert applied.exit == Exit.IN_STEP, applied.stderr
    assert "55 linked" in applied.stdout
    assert _sync(college) is Exit.IN_STEP
    assert college.created() == []
    assert {user_id: college.misid_of(user_id) for user_id in college.owners} == {
        user_id: misid for user_id, (_, misid) in college.owners.items()
    }


def test_neighbours_of_linked_people_get_no_second_account(college: College) -> None:
    _add_neighbours(college)
    employers = _add_places(college)
    assert college.syncd("link").exit == Exit.IN_STEP
    assert college.answer()["MISID of another record"] == 1

    applied = college.syncd("link", "--apply", _FILE, "--approve")

    # OneFile may refuse to change an archived account; it stays linked.
    assert applied.exit in {Exit.IN_STEP, Exit.SOME_HELD}, applied.stderr
    assert _sync(college) in {Exit.IN_STEP, Exit.SOME_HELD}
    assert sorted(misid for _, misid in college.created()) == sorted(_NEWCOMERS)
    assert [college.misid_of(user_id) for user_id in employers] == ["E1", "E2", "O1"]
    assert college.onefile.world.placements.by_id[_OTHER].misid == "S4"
    assert [call.body for call in college.onefile.journal.writes if call.path == "/Placement"] == []
    mapping = {(each["role"], each["misid"]): each["user_id"] for each in college.syncd("accounts", "--json").json}
    for user_id, owner in college.owners.items():
        assert mapping[owner] == user_id or college.misid_of(user_id) is None
    assert mapping["Placement", "S4"] == _OTHER
    assert college.syncd("sync").exit in {Exit.IN_STEP, Exit.SOME_HELD}
    assert len(college.created()) == len(_NEWCOMERS)


def test_proposed_people_are_held_by_runs_until_the_file_is_answered(college: College) -> None:
    college.learner("L51", "New", "Comer", "new@example.org")
    assert college.syncd("link").exit == Exit.IN_STEP
    assert _sync(college) is Exit.SOME_HELD
    held = {(row["role"], row["misid"]): row["reason"] for row in college.syncd("held", "--json").json}
    assert {role for role, misid in held if held[role, misid] == "has_an_account?"} == {"Assessor"}
    assert college.created() == []

    college.answer()
    assert college.syncd("link", "--apply", _FILE, "--approve").exit == Exit.IN_STEP
    assert _sync(college) is Exit.IN_STEP
    assert [misid for _, misid in college.created()] == ["L51"]
    assert college.syncd("held", "--json").json == []


def test_old_file_stops_link_after_a_lost_store_and_says_what_to_do(college: College) -> None:
    assert college.syncd("link").exit == Exit.IN_STEP
    remnants = [*college.syncd.folder.glob("syncd.db*")]
    assert remnants
    for remnant in remnants:
        remnant.unlink()

    refused = college.syncd("link")

    assert refused.exit == Exit.COULD_NOT_RUN
    assert f"'syncd link --apply {_FILE}'" in refused.stderr
    assert "as after a lost state store, rename or delete it" in refused.stderr
    assert college.syncd("link", "--out", "again.csv").exit == Exit.IN_STEP

"""How few calls the API allows for: counted from the rows of the MIS, what OneFile has, and the rules of the API.

Nothing of syncd's own reckoning is used here, so that the two can be held against each other. Sections are those of the
OneFile API fact sheet.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from syncd.demo.generator import Generated, Row
from syncd.demo.mis_schema import (
    CENTRE,
    CLASS,
    EMPLOYER_CONTACT,
    ENROLMENT,
    LEARNER,
    LEARNER_STAFF,
    OBSERVER,
    SITE,
    STAFF,
    STAFF_ROLE,
)
from syncd.simulator.world import World
from tests.support.calls import finds, looks, pages

_TEACHING: Final = {"Assessor", "Trainee Assessor"}


def least_calls(college: Generated, *, keychain: bool = False, page: int = 100) -> Counter[str]:
    """The calls that cannot be done without, by what they are for, to bring an empty OneFile in step with a college.

    With ``keychain`` a create does not tell the id. Those of a role are then looked for together, as soon as they are
    made, for others need them; by role, because nothing else tells the two accounts of one MISID from each other.
    """
    census = Census(college)
    centres = len(college.rows[CENTRE])
    return Counter(
        {
            # One customer token opens one session, which serves every organisation for a day (§2).
            "log in": 1,
            # It decides whether a create tells the new id, and may be another in every organisation (§7, §8.3).
            "read the Keychain setting": centres,
            # A status goes by the number that its own organisation gives it, and only this tells it (§7).
            "read the learner statuses": centres,
            # A place that OneFile has already is to be linked, by its MISID or else by its name. Each of the two lists
            # of an organisation is empty, which its first page says.
            "list places": 2 * centres,
            # An account that OneFile has already is to be linked too, or asked about if only the names are the same.
            # Two searches a newcomer, or the pages that all accounts fill and the one after them, which is empty: here
            # it is the first. A search without a role finds people of every role. It also answers who a tutor is that
            # the MIS does not have: nobody.
            # One by one, whoever was just made takes a page, and the empty one after it.
            "look for users": sum(min(len(misids), 1) for misids in census.newcomers().values())
            + sum(finds(made, made, page) for made in census.made.values() if keychain),
            # There is no call that makes two of anything (§5).
            "create a placement": len(college.rows[SITE]),
            "create a classroom": len(college.rows[CLASS]),
            "create a user": census.accounts,
            # The create ties an employer to the placement, and this says which of its learners they see (§11).
            "grant an employer their placement": len(census.employers),
            # One for each pair (§11).
            "assign somebody to a learner": len(census.assignments),
            # Nobody can be assigned to a learner who is not there, and only who is assigned can be the default employer
            # (§11). So this cannot go with the create, as all the rest of a learner does.
            "update a user": len(census.with_employer),
        }
    )


class Census:
    """Who in the MIS can have an account, by the rows alone."""

    def __init__(self, college: Generated) -> None:
        self._rows = college.rows
        self.enrolments: defaultdict[str, list[Row]] = defaultdict(list)
        for row in college.rows[ENROLMENT]:
            self.enrolments[row["learner_code"]].append(row)
        self._centres: dict[str, int] = {row["code"]: row["centre_id"] for row in college.rows[CLASS]}
        self._staff = _sendable(college.rows[STAFF])
        self.roles = {
            (row["staff_code"], row["role"]) for row in college.rows[STAFF_ROLE] if row["staff_code"] in self._staff
        }
        """The staff's accounts: whoever has two roles has two."""
        self.employers = _sendable(college.rows[EMPLOYER_CONTACT])
        self.learners = {code: row for code, row in _sendable(college.rows[LEARNER]).items() if self._is_taught(code)}
        self.with_employer = {
            code: row for code, row in self.learners.items() if row["employer_contact_code"] in self.employers
        }
        self.assignments = {
            (code, row["employer_contact_code"], "Employer") for code, row in self.with_employer.items()
        }
        self.assignments |= {
            (row["learner_code"], row["staff_code"], row["role"])
            for row in college.rows[LEARNER_STAFF]
            if row["learner_code"] in self.learners and (row["staff_code"], row["role"]) in self.roles
        }

    @property
    def accounts(self) -> int:
        """How many accounts there are to be."""
        return self.made.total()

    @property
    def made(self) -> Counter[tuple[int, str]]:
        """The same by centre and role."""
        observers = {row["code"]: row for row in self._rows[OBSERVER]}
        return Counter(
            (
                *((self._staff[code]["centre_id"], role) for code, role in self.roles),
                *((row["centre_id"], "Employer") for row in self.employers.values()),
                *((row["centre_id"], "Observer") for row in observers.values()),
                *((self.centre_of(code), "Learner") for code in self.learners),
            )
        )

    def centre_of(self, learner: str) -> int:
        """Where somebody learns."""
        (number,) = {self._centres[enrolment["class_code"]] for enrolment in self.enrolments[learner]}
        return number

    def newcomers(self) -> dict[int, set[str]]:
        """The MISIDs of all of them, by centre."""
        found: dict[int, set[str]] = {row["id"]: set() for row in self._rows[CENTRE]}
        for code in self.learners:
            found[self.centre_of(code)].add(code)
        for table in (STAFF, EMPLOYER_CONTACT, OBSERVER):
            for row in _sendable(self._rows[table]).values():
                found[row["centre_id"]].add(row["code"])
        return found

    def _is_taught(self, learner: str) -> bool:
        enrolments = self.enrolments[learner]
        return len(enrolments) == 1 and any((enrolments[0]["tutor_code"], role) in self.roles for role in _TEACHING)


def _sendable(rows: list[Row]) -> dict[str, Row]:
    """Those who are entered once and have an e-mail address, by code."""
    times = Counter(row["code"] for row in rows)
    return {row["code"]: row for row in rows if times[row["code"]] == 1 and row["email"]}


_PLACES: Final = ("Placement", "Classroom")
_Role = TypeVar("_Role", bound=str)
People: TypeAlias = Mapping[_Role, Sequence[dict[str, Any]]]
"""The rows of the MIS by role."""
Links: TypeAlias = Mapping[_Role, Sequence[tuple[str, str]]]
"""Learners and who is to be assigned to them, by the role of these."""


@dataclass
class Told:
    """What OneFile has been told of a small organisation, and so what is the least that it has yet to be told.

    ``page`` is the largest page that works, at most 1,000; with ``keychain`` a create does not tell the id (§8.3).
    """

    keychain: bool = False
    page: int = 1000
    is_logged_in: bool = False
    there: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """By role and MISID, the last values of each column."""
    pairs: set[tuple[str, str, str]] = field(default_factory=set)
    """Who is assigned to whom: learner, user and the user's role. Nothing undoes it (§11)."""
    found: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each code was looked up that no row answers to, by column."""
    left: set[tuple[str, str]] = field(default_factory=set)
    """By role and MISID, who was no longer in the MIS."""

    def least(
        self, people: People[_Role], links: Links[_Role], world: World, organisation_id: int = 5740
    ) -> Counter[str]:
        """The calls that bring OneFile in step with these rows, by role, when they are all fit to be sent."""
        rows = {(str(role), row["MISID"]): row for role, some in people.items() for row in some}
        new = [key for key in rows if key not in self.there]
        pairs = {(learner, user, str(role)) for role, some in links.items() for learner, user in some} - self.pairs
        newcomers = {misid for role, misid in new if role not in _PLACES}
        # An employer can be the default of a learner only when assigned to them, and they must be there for that (§11).
        later = [
            misid
            for role, misid in new
            if role == "Learner" and (misid, rows[role, misid].get("DefaultEmployerMISID"), "Employer") in pairs
        ]
        changed = {key: self._changed(key, row) for key, row in rows.items() if key in self.there}
        # Access to a placement is told by a call of its own, anew for another placement (§11).
        granted = [key for key in new if _grants(rows[key])]
        granted += [
            key for key, names in changed.items() if _grants(rows[key]) and names & {"GrantAccess", "PlacementMISID"}
        ]
        updated = [key for key, names in changed.items() if names - {"GrantAccess"}]
        users = [user for user in world.users.values() if user.organisation_id == organisation_id]
        places = Counter(
            role
            for role, places in zip(_PLACES, (world.placements, world.classrooms), strict=True)
            for place in places.by_id.values()
            if place.organisation_id == organisation_id
        )
        numbers = Counter(user.role for user in users if not user.is_archived)
        codes = Counter(_MEANT[column] for column, _ in self.to_find(people, world.clock()))
        made = Counter(role for role, _ in new)
        new_users = Counter({role: number for role, number in made.items() if role not in _PLACES})
        made_users = new_users.total()
        rows_of = Counter(_ROLES[user.role] for user in users)
        found = Counter(
            {
                "read the Keychain setting": min(made_users, 1),
                "list places": sum(pages(places[role], self.page) for role in _PLACES if made[role] or role in codes),
                "look for users": looks(new_users, len(newcomers), rows_of, self.page, codes=codes),
                "create a placement": made["Placement"],
                "create a classroom": made["Classroom"],
                "create a user": made_users,
                "grant an employer their placement": len(granted),
                "assign somebody to a learner": len(pairs),
                "update a user": sum(role not in _PLACES for role, _ in updated) + len(later),
                "update a place": sum(role in _PLACES for role, _ in updated),
            }
        )
        numbers = Counter(user.role for user in users if not user.is_archived)
        for role, number in Counter(role for role, _ in rows.keys() & self.left if role not in _PLACES).items():
            found += _asks_if_archived(number, pages(numbers[_NUMBERS[role]], self.page))
        if self.keychain:
            found["look for users"] += sum(
                finds(number, numbers[_NUMBERS[role]] + number, self.page)
                for role, number in made.items()
                if role not in _PLACES
            )
        found["log in"] = int(not self.is_logged_in and found.total() > 0)
        return +found

    def to_find(self, people: People[_Role], now: float) -> set[tuple[str, str]]:
        """The codes to be looked up, by column: nothing else tells what no row answers to.

        A person may give the code to another account at any time, which no call reports (§5), so it is looked up again
        when that is a day ago. All of them together take fewer calls than each at its own time.
        """
        there = {(str(role), row["MISID"]) for role, rows in people.items() for row in rows}
        used = {
            (column, row[column])
            for rows in people.values()
            for row in rows
            for column, role in _MEANT.items()
            if row.get(column) is not None and (role, row[column]) not in there
        }
        is_due = any(now - self.found[code] >= _DAY for code in used & self.found.keys())
        return used if is_due else used - self.found.keys()

    def take(self, people: People[_Role], links: Links[_Role], now: float) -> None:
        """OneFile has been told of these rows."""
        self.found |= dict.fromkeys(self.to_find(people, now), now)
        self.left = self.there.keys() - {(str(role), row["MISID"]) for role, rows in people.items() for row in rows}
        for role, rows in people.items():
            for row in rows:
                told = self.there.setdefault((str(role), row["MISID"]), {})
                told |= {name: value for name, value in deepcopy(row).items() if value is not None}
        self.pairs |= {(learner, user, str(role)) for role, some in links.items() for learner, user in some}

    def _changed(self, key: tuple[str, str], row: Mapping[str, Any]) -> set[str]:
        # Nobody knows whether a value can be taken back (U16), so one that is gone is not sent.
        return {name for name, value in row.items() if value is not None and self.there[key].get(name) != value}


#: In seconds.
_DAY: Final = 24 * 60 * 60
#: What the codes of the MIS stand for.
_MEANT: Final = {
    "DefaultAssessorMISID": "Assessor",
    "DefaultEmployerMISID": "Employer",
    "ClassroomMISID": "Classroom",
    "PlacementMISID": "Placement",
}


def _asks_if_archived(number: int, by_page: int) -> Counter[str]:
    """The calls that tell of people who are back whether somebody archived them in OneFile meanwhile.

    What an account says by itself, and where it says nothing of that (U5), whether a search by role shows it (U4); or
    everybody of the role by page.
    """
    if by_page < 2 * number:
        return Counter({"look for users": by_page})
    return Counter({"read a user": number, "look for users": min(number, by_page)})


#: §8.1
_NUMBERS: Final = {"Learner": 1, "Trainee Assessor": 4, "Assessor": 5, "IQA": 10, "Employer": 40, "Observer": 45}


_ROLES: Final = {number: role for role, number in _NUMBERS.items()}


def _grants(row: Mapping[str, Any]) -> bool:
    return row.get("GrantAccess") is not None

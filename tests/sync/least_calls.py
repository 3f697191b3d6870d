"""How few calls can bring an empty OneFile in step with a generated college: counted from its rows and nothing else.

Nothing of syncd's own reckoning is used here, so that the two can be held against each other.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from math import ceil
from typing import Final

from syncd.demo.generator import Generated, Row
from syncd.demo.tables import (
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
from syncd.simulator.journal import Call

_TEACHING: Final = {"Assessor", "Trainee Assessor"}

#: What each call is for, by method and path.
_KINDS: Final = {
    r"POST /Authentication": "log in",
    r"POST /Organisation/Search": "read the Keychain setting",
    r"GET /Organisation/\d+/LearnerStatuses": "read the learner statuses",
    r"POST /(Placement|Classroom)/Search/\d+/\d+": "list places",
    r"POST /User/Search/\d+/\d+": "look for users",
    r"GET /User/\d+": "read a user",
    r"POST /Placement": "create a placement",
    r"POST /Classroom": "create a classroom",
    r"POST /User": "create a user",
    r"POST /User/\d+/AssignPlacement/.*": "grant an employer their placement",
    r"POST /User/\d+/Assign": "assign somebody to a learner",
    r"POST /User/\d+": "update a user",
}


def calls_made(calls: Iterable[Call]) -> Counter[str]:
    """The calls that reached OneFile, by what they are for; one that is for nothing known stands for itself."""
    return Counter(_kind_of(f"{call.method} {call.path}") for call in calls)


def _kind_of(call: str) -> str:
    return next((kind for pattern, kind in _KINDS.items() if re.fullmatch(pattern, call)), call)


def least_calls(college: Generated, *, keychain: bool = False) -> Counter[str]:
    """The same for the calls that cannot be done without.

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
            # An account that OneFile has already is to be linked too. One search a newcomer, or the pages that all
            # accounts fill and the one after them, which is empty: here it is the first. A search without a role finds
            # people of every role. It also answers who a tutor is that the MIS does not have: nobody.
            # One by one, whoever was just made takes a page, and the empty one after it.
            "look for users": sum(min(len(misids), 1) for misids in census.newcomers().values())
            + sum(min(2 * made, ceil(made / 50) + 1) for made in census.made.values() if keychain),
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

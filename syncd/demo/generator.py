"""A made-up college of any size, the same for the same seed, with the defects of a real MIS.

`generate` only makes rows; `syncd.demo.mis_database.College` writes them to a database.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import Table

from syncd.demo.data_defects import Dirt, Size, employer_code, learner_code, staff_code
from syncd.demo.fake_people import People, miscopied
from syncd.demo.mis_schema import (
    CENTRE,
    CLASS,
    COURSE,
    EMPLOYER_CONTACT,
    ENROLMENT,
    LEARNER,
    LEARNER_STAFF,
    OBSERVER,
    SITE,
    STAFF,
    STAFF_ROLE,
)

Row: TypeAlias = dict[str, Any]

#: The first centre's organisation in OneFile; the others' follow it.
FIRST_ORGANISATION: Final = 5740
#: The default placement of each centre.
AT_COLLEGE: Final = "At college"
#: The code of a tutor who does not exist.
NO_SUCH_TUTOR: Final = "S9999"

ASSESSOR: Final = "Assessor"
TRAINEE_ASSESSOR: Final = "Trainee Assessor"
IQA: Final = "IQA"

#: The names of learner statuses.
STATUSES: Final = ("Active", "Completed")

_CENTRES: Final = ("Ashby Vale College", "Ashby Vale Adult Learning", "Ashby Vale Skills Academy")
_BUSINESSES: Final = (
    "O'Brien's Café", "Müller & Daughters Ltd", "Ashby Vale Care Homes", "Čapek Joinery", "上海小吃",
    "D'Arcy & Sons (Electrical)", "Pâtisserie Zoë", "Кухня Ольги", "St. Anne's Nursery", "Łódź Motors",
    "Llŷn Plumbing Cyf", "مطبخ بغداد", "Smith, Smith & Ó Briain LLP", 'The "Old Mill" Hotel', "Ταβέρνα Νίκος",
)  # fmt: skip
_COURSES: Final = (
    ("BRICK2", "Bricklaying Level 2"),
    ("CARE3", "Adult Care Level 3"),
    ("CHEF2", "Commis Chef Level 2"),
    ("ELEC3", "Electrical Installation Level 3"),
    ("HAIR2", "Hair Professional Level 2"),
    ("ACCT4", "Professional Accounting Level 4"),
    ("EYE3", "Early Years Educator Level 3"),
    ("AUTO3", "Motor Vehicle Service Level 3"),
)
_TERM: Final = date(2026, 9, 7)
_COURSE_TAKES: Final = timedelta(weeks=96)

_ETHNICITIES: Final = ("31", "34", "37", "39", "41", "44", "46", "98", "99")


class Generated:
    """The rows of a college's MIS.

    Attributes:
        rows: by table.
        dirt: the defects in the rows.
    """

    def __init__(self, seed: int, size: Size, dirt: Dirt) -> None:
        self.dirt = dirt
        self.rows: defaultdict[Table, list[Row]] = defaultdict(list)
        self._size = size
        self._chance = random.Random(seed)  # noqa: S311 - made-up data, not a secret
        self._people = People(self._chance)
        self._emails: dict[str, str | None] = {}
        self._ready: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
        """The rows that a new record can refer to, by kind and centre."""
        self._make_centres()
        self._make_courses()
        self._make_staff()
        self._make_employers_and_observers()
        for _ in range(size.learners):
            self.another_learner()

    def another_learner(self) -> dict[Table, list[Row]]:
        """Add one learner; return the new rows."""
        number = len(self.rows[LEARNER])
        centre = self._centre(number)
        dirt, chance, people, code = self.dirt, self._chance, self._people, learner_code(number)
        has_employer = self._ready["employer", centre] and chance.random() < 0.7
        employer = self._one_of("employer", centre) if has_employer else None
        site_code = employer["site_code"] if employer else self._one_of("site", centre)["code"]
        born_on, uln = people.born_on().isoformat(), people.uln()
        learner = {
            "code": code,
            **self._somebody(code, "learner.example"),
            "mobile": people.mobile(),
            "date_of_birth": "31/02/2007" if code in dirt.no_date else born_on,
            "uln": miscopied(uln) if code in dirt.wrong_uln else uln,
            "nino": people.nino(),
            "address": people.address(),
            "ethnicity": chance.choice(_ETHNICITIES),
            "sex": chance.choice("FM"),
            "lldd": chance.choice(("1", "2", "2", "2", "9")),
            "disability": chance.choice(("4", "9", "98", "98")),
            "learning_difficulty": chance.choice(("10", "11", "98", "98")),
            "site_code": site_code,
            "employer_contact_code": employer and employer["code"],
            # At a real centre, most learners have no status.
            "status_name": chance.choice((*STATUSES, None, None)),
        }
        if code in dirt.without_site:
            learner |= {"site_code": None, "employer_contact_code": None}
        tutor = self._one_of("tutor", centre)["code"]
        new = {
            LEARNER: [learner],
            ENROLMENT: self._enrolments(code, centre, NO_SUCH_TUTOR if code in dirt.unknown_tutor else tutor),
            LEARNER_STAFF: self._others_for(code, centre, tutor),
        }
        for table, rows in new.items():
            self.rows[table] += rows
        return new

    def _enrolments(self, code: str, centre: int, tutor: str) -> list[Row]:
        class_ = self._one_of("class", centre)
        enrolment = {
            "learner_code": code,
            "class_code": class_["code"],
            "tutor_code": tutor,
            "starts_on": class_["starts_on"],
            "ends_on": class_["starts_on"] + _COURSE_TAKES,
            "status": "current",
        }
        return [enrolment] * (1 + (code in self.dirt.entered_twice))

    def _others_for(self, code: str, centre: int, tutor: str) -> list[Row]:
        """Return the assignments of a learner besides the tutor."""
        return [
            {"learner_code": code, "staff_code": self._chance.choice(others), "role": role}
            for role, share in ((IQA, 0.3), (ASSESSOR, 0.1))
            if (others := [each["code"] for each in self._ready[role, centre] if each["code"] != tutor])
            and self._chance.random() < share
        ]

    def _make_centres(self) -> None:
        size, people = self._size, self._people
        for number in range(size.centres):
            name = _named(_CENTRES, number)
            row = {"id": 1 + number, "onefile_organisation_id": FIRST_ORGANISATION + number, "name": name}
            self.rows[CENTRE].append(row)
        for number in range(size.placements):
            centre, code = self._centre(number), f"P{1001 + number}"
            is_college = number < size.centres
            somebody = people.somebody(code, "business.example")
            site = {
                "code": code,
                "centre_id": centre,
                "name": AT_COLLEGE if is_college else _named(_BUSINESSES, number - size.centres),
                "address": people.address(),
                "contact": somebody.forename,
                "email": somebody.email,
                "telephone": somebody.telephone,
                "is_open": number % 20 != 19,
            }
            self.rows[SITE].append(site)
            if site["is_open"]:
                self._ready["site", centre].append(site)

    def _make_courses(self) -> None:
        for number in range(self._size.classes):
            course, title = _COURSES[number % len(_COURSES)]
            group, centre = 1 + number // len(_COURSES), self._centre(number)
            if group == 1:
                self.rows[COURSE].append({"code": course, "title": title})
            is_finished = number % 12 == 11
            class_ = {
                "code": course if group == 1 else f"{course}-{group}",
                "course_code": course,
                "centre_id": centre,
                "title": title if group == 1 else f"{title}, group {group}",
                "starts_on": _TERM - timedelta(weeks=104 if is_finished else 0) + timedelta(weeks=number % 3),
                "is_finished": is_finished,
            }
            self.rows[CLASS].append(class_)
            if not is_finished:
                self._ready["class", centre].append(class_)

    def _make_staff(self) -> None:
        for number in range(self._size.staff):
            code, centre = staff_code(number), self._centre(number)
            member = {"code": code, "centre_id": centre, **self._somebody(code, "college.example")}
            self.rows[STAFF] += self._entered(member)
            roles = (ASSESSOR, IQA) if code in self.dirt.two_roles else (self._role_of(number),)
            self.rows[STAFF_ROLE] += [{"staff_code": code, "role": role} for role in roles]
            if code in self.dirt.held:
                continue
            for role in roles:
                self._ready[role, centre].append(member)
            if roles != (IQA,):
                self._ready["tutor", centre].append(member)

    def _make_employers_and_observers(self) -> None:
        for number in range(self._size.employers):
            code, centre = employer_code(number), self._centre(number)
            employer = {
                "code": code,
                "centre_id": centre,
                **self._somebody(code, "business.example"),
                "site_code": self._one_of("site", centre)["code"],
                "sees_all": self._chance.random() < 0.5,
            }
            self.rows[EMPLOYER_CONTACT] += self._entered(employer)
            if code not in self.dirt.held:
                self._ready["employer", centre].append(employer)
        for number in range(self._size.observers):
            code, centre = f"O{1001 + number}", self._centre(number)
            site = self._one_of("site", centre)
            observer = {"code": code, "centre_id": centre, **self._somebody(code, "college.example")}
            self.rows[OBSERVER].append({**observer, "site_code": site["code"]})

    def _somebody(self, code: str, domain: str) -> Row:
        person = asdict(self._people.somebody(code, domain))
        if code in self.dirt.without_email:
            person["email"] = None
        if code in self.dirt.shared_email:
            person["email"] = self._emails[self.dirt.shared_email[code]]
        self._emails[code] = person["email"]
        return person

    def _entered(self, row: Row) -> list[Row]:
        return [row] * (1 + (row["code"] in self.dirt.entered_twice))

    def _one_of(self, kind: str, centre: int) -> Row:
        return self._chance.choice(self._ready[kind, centre])

    def _centre(self, number: int) -> int:
        return 1 + number % self._size.centres

    def _role_of(self, number: int) -> str:
        place = number // self._size.centres % 10
        return {4: IQA, 8: IQA, 9: TRAINEE_ASSESSOR}.get(place, ASSESSOR)


def generate(seed: int, size: Size | None = None, dirt: Dirt | None = None) -> Generated:
    """Return a made-up college; by default a large one with the usual defects."""
    size = size or Size()
    return Generated(seed, size, Dirt.usual(seed, size) if dirt is None else dirt)


def _named(names: Sequence[str], number: int) -> str:
    """Return a different name for each number."""
    turn, place = divmod(number, len(names))
    return names[place] if turn == 0 else f"{names[place]} {1 + turn}"

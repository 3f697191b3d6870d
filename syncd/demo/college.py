"""A made-up college: its MIS in SQLite, with the dirt that a real one has, and what OneFile knows of it already."""

import random
import unicodedata
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Date, ForeignKey, Integer, MetaData, String, Table, create_engine, insert, update

from syncd.simulator.rules import ASSESSOR

ORGANISATION_ID: Final = 5740

#: The people whom the story tells of, by their MISID.
MARRIED: Final = "L1008"
NEW_PHONE: Final = "L1015"
LEFT: Final = "L1031"
JOINED: Final = "L1065"
LOST_EMAIL: Final = "L1044"
NO_EMAIL: Final = "L1007"
WRONG_ULN: Final = "L1012"
NO_DATE: Final = "L1023"
ENROLLED_TWICE: Final = "L1038"
NEW_COURSE: Final = "L1052"

LEARNERS: Final = 64
#: The learners whom OneFile can be given at first; three are held.
SENDABLE: Final = LEARNERS - 3

_FIRST_NUMBER: Final = 1001

_METADATA: Final = MetaData()

_TUTOR: Final = Table(
    "tutor",
    _METADATA,
    Column("code", String, primary_key=True),
    Column("forename", String, nullable=False),
    Column("surname", String, nullable=False),
)

_COURSE: Final = Table(
    "course",
    _METADATA,
    Column("code", String, primary_key=True),
    Column("title", String, nullable=False),
    Column("tutor_code", ForeignKey("tutor.code"), nullable=False),
)

_EMPLOYER: Final = Table(
    "employer",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
)

# A date of birth is text here, as in many an MIS that began as a spreadsheet: so it can be one that is no date.
_LEARNER: Final = Table(
    "learner",
    _METADATA,
    Column("reference", String, primary_key=True),
    Column("forename", String, nullable=False),
    Column("surname", String, nullable=False),
    Column("email", String),
    Column("date_of_birth", String),
    Column("uln", String),
    Column("mobile", String),
    Column("employer_id", ForeignKey("employer.id")),
)

_ENROLMENT: Final = Table(
    "enrolment",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("learner_reference", ForeignKey("learner.reference"), nullable=False),
    Column("course_code", ForeignKey("course.code"), nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=False),
    Column("status", String, nullable=False),
)

_TUTORS: Final = (
    ("T01", "Siân", "Pryce-Jones"),
    ("T02", "Tunde", "Adébáyò"),
    ("T03", "Maeve", "O'Rourke"),
)
_COURSES: Final = (
    ("BRICK2", "Bricklaying Level 2", "T01"),
    ("CARE3", "Adult Care Level 3", "T02"),
    ("CHEF2", "Commis Chef Level 2", "T03"),
    ("ELEC3", "Electrical Installation Level 3", "T01"),
)
#: Started by the college this term; nobody has made the class in OneFile yet.
_NOT_IN_ONEFILE: Final = ("BARB2", "Barbering Level 2", "T03")
_EMPLOYERS: Final = ((1, "O'Brien's Café"), (2, "Müller & Daughters Ltd"), (3, "Ashby Vale Care Homes"))
_AT_COLLEGE: Final = "At college"

#: Where everything in OneFile is.
_HERE: Final = {"OrganisationID": ORGANISATION_ID}

_FORENAMES: Final = (
    "Aisha", "Amelia", "Anwen", "Beyoncé", "Callum", "Chloë", "Dafydd", "Elif", "Ewan", "Fatima", "Gareth", "Grace",
    "Hamza", "Inês", "Jakub", "Jürgen", "Kofi", "Leila", "Llŷr", "Małgorzata", "Niamh", "Oluwaseun", "Priya", "Renée",
    "Seán", "Siobhán", "Tomos", "Uzma", "Wei", "Zoë",
)  # fmt: skip
_SURNAMES: Final = (
    "Adeyemi", "Ahmed", "Bakr-Williams", "Chowdhury", "D'Souza", "Davies", "de la Cruz", "Evans", "Fernández",
    "Gruffydd", "Hussain", "Iqbal", "Jones", "Kowalska", "Lloyd-Hughes", "MacDonald", "Nowak", "O'Connor", "Ó Briain",
    "Patel", "Quinn", "Rees", "Šimić", "Smith", "St. John", "Taylor", "Ünal", "van Dijk", "Walker", "Yamaç", "Zhang",
)  # fmt: skip


class College:
    """The MIS in ``file``, which is made here; the people in it are the same each time."""

    def __init__(self, file: Path) -> None:
        self._engine = create_engine(f"sqlite:///{file}")
        self._chance = random.Random(ORGANISATION_ID)  # noqa: S311 - made-up people are no secret
        self._learners = [self._person(_FIRST_NUMBER + number) for number in range(LEARNERS)]
        _METADATA.create_all(self._engine)
        with self._engine.begin() as connection:
            connection.execute(insert(_TUTOR), [_named(_TUTOR, row) for row in _TUTORS])
            connection.execute(insert(_COURSE), [_named(_COURSE, row) for row in (*_COURSES, _NOT_IN_ONEFILE)])
            connection.execute(insert(_EMPLOYER), [_named(_EMPLOYER, row) for row in _EMPLOYERS])
        self._enrol(*self._learners)
        self._soil()

    def let_a_week_pass(self) -> None:
        """Two people change, one leaves, one joins; one loses an e-mail address and another is given one."""
        self._correct(MARRIED, surname="Okonkwo-Whittle")
        self._correct(NEW_PHONE, mobile="07700 900999")
        with self._engine.begin() as connection:
            leaving = update(_ENROLMENT).where(_ENROLMENT.c.learner_reference == LEFT)
            connection.execute(leaving.values(status="withdrawn"))
        self._enrol(self._person(int(JOINED[1:])))
        self._correct(LOST_EMAIL, email="")
        self._correct(NO_EMAIL, email="found.at.last@learner.example")

    def _soil(self) -> None:
        self._correct(NO_EMAIL, email=None)
        self._correct(NO_DATE, date_of_birth="31/02/2007")
        (right,) = (person["uln"] for person in self._learners if person["reference"] == WRONG_ULN)
        self._correct(WRONG_ULN, uln=right[:-1] + str((int(right[-1]) + 1) % 10))
        with self._engine.begin() as connection:
            of_one = update(_ENROLMENT).where(_ENROLMENT.c.learner_reference == NEW_COURSE)
            connection.execute(of_one.values(course_code=_NOT_IN_ONEFILE[0]))
            connection.execute(insert(_ENROLMENT), [_enrolment(ENROLLED_TWICE, "CARE3")])

    def _enrol(self, *people: dict[str, Any]) -> None:
        courses = [self._chance.choice(_COURSES)[0] for _ in people]
        with self._engine.begin() as connection:
            connection.execute(insert(_LEARNER), list(people))
            connection.execute(
                insert(_ENROLMENT),
                [_enrolment(person["reference"], course) for person, course in zip(people, courses, strict=True)],
            )

    def _correct(self, reference: str, **columns: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_LEARNER).where(_LEARNER.c.reference == reference).values(columns))

    def _person(self, number: int) -> dict[str, Any]:
        chance = self._chance
        forename, surname = chance.choice(_FORENAMES), chance.choice(_SURNAMES)
        born = date(1998, 1, 1) + timedelta(days=chance.randrange(10 * 365))
        return {
            "reference": f"L{number}",
            "forename": forename,
            "surname": surname,
            "email": f"{_plain(forename)}.{_plain(surname)}.{number}@learner.example",
            "date_of_birth": born.isoformat(),
            "uln": _uln(chance),
            "mobile": f"07700 900{chance.randrange(1000):03}",
            "employer_id": chance.choice((1, 2, 3, None)),
        }


def onefile_at_the_start() -> dict[str, list[dict[str, Any]]]:
    """A simulator's seed: the college's tutors, classes and placements, and no learner yet."""
    placements = (_AT_COLLEGE, *(name for _, name in _EMPLOYERS))
    return {
        "organisations": [{"ID": ORGANISATION_ID, "Name": "Ashby Vale College"}],
        "classrooms": [_classroom(course) for course in _COURSES],
        "placements": [{**_HERE, "Name": name} for name in placements],
        "users": [
            {
                **_HERE,
                "Role": ASSESSOR,
                "FirstName": forename,
                "LastName": surname,
                "Email": f"{_plain(forename)}.{_plain(surname)}@college.example",
                "MISID": code,
            }
            for code, forename, surname in _TUTORS
        ],
    }


def onefile_a_week_later() -> dict[str, list[dict[str, Any]]]:
    """What has been added in OneFile by hand: the class that was wanting."""
    return {"classrooms": [_classroom(_NOT_IN_ONEFILE)]}


def _classroom(course: tuple[str, str, str]) -> dict[str, Any]:
    code, title, _ = course
    return {**_HERE, "Name": title, "MISID": code}


def _named(table: Table, row: tuple[object, ...]) -> dict[str, object]:
    return dict(zip(table.columns.keys(), row, strict=True))


def _enrolment(reference: str, course: str) -> dict[str, object]:
    return {
        "learner_reference": reference,
        "course_code": course,
        "starts_on": date(2026, 9, 7),
        "ends_on": date(2028, 7, 14),
        "status": "current",
    }


def _plain(name: str) -> str:
    """A name as it may stand in an e-mail address."""
    letters = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())


def _uln(chance: random.Random) -> str:
    """Nine digits and the one that checks them: the weighted sum leaves 10 when divided by 11."""
    while True:
        digits = [chance.randrange(1, 10), *(chance.randrange(10) for _ in range(8))]
        left = sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=True)) % 11
        if left:
            return "".join(map(str, (*digits, 10 - left)))

"""The college of the demo: its people, OneFile's data at the start, and the changes of a week."""

from pathlib import Path
from typing import Any, Final

from syncd.demo.data_defects import Dirt, Size
from syncd.demo.generator import FIRST_ORGANISATION, Row, generate
from syncd.demo.mis_database import College
from syncd.demo.mis_schema import CENTRE, CLASS, COURSE, ENROLMENT, LEARNER, SITE, STAFF
from syncd.simulator.field_rules import ASSESSOR

ORGANISATION_ID: Final = FIRST_ORGANISATION

#: The MISIDs of the people in the demo.
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
#: The number of learners that can be sent at first; three are held.
SENDABLE: Final = LEARNERS - 3

_SIZE: Final = Size(centres=1, placements=4, classes=4, staff=3, employers=3, observers=0, learners=LEARNERS)
_DIRT: Final = Dirt(
    without_email=frozenset({NO_EMAIL}),
    entered_twice=frozenset({ENROLLED_TWICE}),
    wrong_uln=frozenset({WRONG_ULN}),
    no_date=frozenset({NO_DATE}),
)
#: A new course of this term; its class does not exist in OneFile yet.
_NOT_IN_ONEFILE: Final = {"code": "BARB2", "title": "Barbering Level 2"}


class SampleCollege:
    """The same people and the same week each time; call `create_database` before `let_a_week_pass`."""

    def __init__(self) -> None:
        self._generated = generate(ORGANISATION_ID, _SIZE, _DIRT)
        self._known_classes = list(self._generated.rows[CLASS])
        self._start_the_new_course()

    def create_database(self, file: Path) -> None:
        """Create the MIS as a SQLite file."""
        self._mis = College(f"sqlite:///{file}", self._generated)

    def let_a_week_pass(self) -> None:
        """Change two learners, withdraw one, add one, delete one's e-mail address and add another's."""
        self._mis.correct(LEARNER.c.code, MARRIED, surname="Okonkwo-Whittle")
        self._mis.correct(LEARNER.c.code, NEW_PHONE, mobile="07700 900999")
        self._mis.correct(ENROLMENT.c.learner_code, LEFT, status="withdrawn")
        self._mis.add(self._generated.another_learner())
        self._mis.correct(LEARNER.c.code, LOST_EMAIL, email="")
        self._mis.correct(LEARNER.c.code, NO_EMAIL, email="found.at.last@learner.example")

    def onefile_at_the_start(self) -> dict[str, list[Row]]:
        """Return a simulator's seed: the college's tutors, classes and placements, but no learners."""
        rows = self._generated.rows
        return {
            "organisations": [{"ID": ORGANISATION_ID, "Name": centre["name"]} for centre in rows[CENTRE]],
            "classrooms": [_classroom(class_) for class_ in self._known_classes],
            "placements": [_here(Name=site["name"]) for site in rows[SITE]],
            "users": [
                _here(
                    Role=ASSESSOR,
                    FirstName=tutor["forename"],
                    LastName=tutor["surname"],
                    Email=tutor["email"],
                    MISID=tutor["code"],
                )
                for tutor in rows[STAFF]
            ],
        }

    def onefile_a_week_later(self) -> dict[str, list[Row]]:
        """Return what was added to OneFile by hand: the missing class."""
        return {"classrooms": [_classroom(_NOT_IN_ONEFILE)]}

    def _start_the_new_course(self) -> None:
        rows = self._generated.rows
        like_others = {**self._known_classes[0], "course_code": _NOT_IN_ONEFILE["code"]}
        rows[COURSE].append(_NOT_IN_ONEFILE)
        rows[CLASS].append({**like_others, **_NOT_IN_ONEFILE})
        for enrolment in rows[ENROLMENT]:
            if enrolment["learner_code"] == NEW_COURSE:
                enrolment["class_code"] = _NOT_IN_ONEFILE["code"]


def _classroom(class_: Row) -> Row:
    return _here(Name=class_["title"], MISID=class_["code"])


def _here(**fields: Any) -> Row:
    return {"OrganisationID": ORGANISATION_ID, **fields}

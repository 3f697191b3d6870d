"""The tables of a made-up college's MIS, for any kind of database."""

from typing import Final

from sqlalchemy import Boolean, Column, Date, ForeignKey, Integer, MetaData, String, Table, Text

METADATA: Final = MetaData()

_Code: Final = String(20)
_Name: Final = String(100)


def _contact() -> tuple[Column[str], ...]:
    return (
        Column("forename", _Name, nullable=False),
        Column("surname", _Name, nullable=False),
        Column("email", _Name),
        Column("telephone", String(30)),
    )


def _centre() -> Column[int]:
    return Column("centre_id", ForeignKey("centre.id"), nullable=False)


CENTRE: Final = Table(
    "centre",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("onefile_organisation_id", Integer, nullable=False, unique=True),
    Column("name", _Name, nullable=False),
)

SITE: Final = Table(
    "site",
    METADATA,
    Column("code", _Code, primary_key=True),
    _centre(),
    Column("name", _Name, nullable=False),
    Column("address", Text),
    Column("contact", _Name),
    Column("email", _Name),
    Column("telephone", String(30)),
    Column("is_open", Boolean, nullable=False),
)

COURSE: Final = Table(
    "course",
    METADATA,
    Column("code", _Code, primary_key=True),
    Column("title", _Name, nullable=False),
)

CLASS: Final = Table(
    "class",
    METADATA,
    Column("code", _Code, primary_key=True),
    Column("course_code", ForeignKey("course.code"), nullable=False),
    _centre(),
    Column("title", _Name, nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("is_finished", Boolean, nullable=False),
)

# A code is not the primary key of a table of people: in a real MIS a person may be entered twice.
STAFF: Final = Table(
    "staff",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("code", _Code, nullable=False, index=True),
    _centre(),
    *_contact(),
)

STAFF_ROLE: Final = Table(
    "staff_role",
    METADATA,
    Column("staff_code", _Code, primary_key=True),
    Column("role", _Code, primary_key=True),
)

EMPLOYER_CONTACT: Final = Table(
    "employer_contact",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("code", _Code, nullable=False, index=True),
    _centre(),
    *_contact(),
    Column("site_code", ForeignKey("site.code"), nullable=False),
    Column("sees_all", Boolean, nullable=False),
)

OBSERVER: Final = Table(
    "observer",
    METADATA,
    Column("code", _Code, primary_key=True),
    _centre(),
    *_contact(),
    Column("site_code", ForeignKey("site.code"), nullable=False),
)

# A date of birth is text, as in an MIS that began as a spreadsheet, so it can be an invalid date.
LEARNER: Final = Table(
    "learner",
    METADATA,
    Column("code", _Code, primary_key=True),
    *_contact(),
    Column("mobile", String(30)),
    Column("date_of_birth", String(10)),
    Column("uln", String(10)),
    Column("nino", String(9)),
    Column("address", Text),
    Column("ethnicity", String(2)),
    Column("sex", String(1)),
    Column("lldd", String(2)),
    Column("disability", String(2)),
    Column("learning_difficulty", String(2)),
    Column("site_code", ForeignKey("site.code")),
    Column("employer_contact_code", _Code),
    Column("status_name", String(30)),
)

# A tutor's code is free text: the database does not check that the tutor exists.
ENROLMENT: Final = Table(
    "enrolment",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("learner_code", ForeignKey("learner.code"), nullable=False, index=True),
    Column("class_code", ForeignKey("class.code"), nullable=False),
    Column("tutor_code", _Code),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=False),
    Column("status", String(10), nullable=False),
)

LEARNER_STAFF: Final = Table(
    "learner_staff",
    METADATA,
    Column("learner_code", ForeignKey("learner.code"), primary_key=True),
    Column("staff_code", _Code, primary_key=True),
    Column("role", _Code, primary_key=True),
)

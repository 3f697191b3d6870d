"""Which table and which column is what: by names as real MIS have them, and by the looks of values."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.fields import Role, columns_of
from syncd.core.records import Layout
from syncd.setup.mapping import learners_tables, propose, with_employers
from syncd.setup.profiling import Look, Shape, look_of, shape_of
from syncd.setup.schema import Column, Feed, NotJoined, Reference, Table
from syncd.setup.sql import Dialect, select_of
from syncd.setup.synonyms import SPELLINGS, likeness


def _table(name: str, *columns: str, key: tuple[str, ...] = (), references: tuple[Reference, ...] = ()) -> Table:
    return Table(name, tuple(map(Column, columns)), key, references)


_ID = ("EnrolmentID",)
_LEARNERS = _table("Student", "StudentID", "Forename", "Surname", "CollegeEmail", key=("StudentID",))


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("LearnRefNumber", "MISID"),
        ("learn_ref_number", "MISID"),
        ("PERSON_CODE", "MISID"),
        ("Student Ref.", "MISID"),
        ("GivenNames", "FirstName"),
        ("Forename(s)", "FirstName"),
        ("stu_forename", "FirstName"),
        ("FamilyName", "LastName"),
        ("StudentSurname", "LastName"),
        ("D.O.B.", "DOB"),
        ("Date of Birth", "DOB"),
        ("Unique Learner Number", "ULN"),
        ("NINumber", "NINO"),
        ("N.I. Number", "NINO"),
        ("E-mail Address", "Email"),
        ("LearnPlanEndDate", "PlannedEndDate"),
        ("Ethnicity", "L12"),
        ("Gender", "L13"),
        ("LLDDHealthProb", "L14"),
        ("EmpId", "PlacementMISID"),
        ("Assessor ID", "DefaultAssessorMISID"),
        ("Group Code", "ClassroomMISID"),
    ],
)
def test_a_column_is_known_by_the_usual_spellings(column: str, field: str) -> None:
    best = max(SPELLINGS, key=lambda name: likeness(column, name) if name in columns_of(Role.LEARNER).values() else 0)
    assert best == field


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("ParentEmail", "Email"),
        ("NextOfKinTelephone", "Telephone"),
        ("EmergencyContactMobile", "MobileNumber"),
        ("PostcodePrior", "HomeAddress"),
        ("TutorSurname", "LastName"),
        ("LearnActEndDate", "PlannedEndDate"),
    ],
)
def test_columns_of_another_person_or_meaning_have_low_likeness(column: str, field: str) -> None:
    assert likeness(column, field) < 0.3


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("9276308686", Shape.ULN),
        ("9276308687", Shape.NUMBER),
        ("lj 12 34 56 a", Shape.NINO),
        ("a@b.example", Shape.EMAIL),
        ("ZZ99 9ZZ", Shape.POSTCODE),
        ("2007-05-31", Shape.DAY),
        ("31/05/2007", Shape.DAY_FIRST),
        ("07700 900123", Shape.MOBILE),
        ("01632 960000", Shape.PHONE),
        ("Yes", Shape.FLAG),
        ("O'Brien", Shape.WORDS),
        ("Nguyễn Văn", Shape.WORDS),
        ("CARE3-2", Shape.CODE),
    ],
)
def test_a_value_is_known_by_its_form(text: str, shape: Shape) -> None:
    assert shape_of(text) is shape


@given(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.dates(), st.binary(), st.booleans(), st.floats())))
def test_no_value_is_too_odd_to_look_at(values: list[object]) -> None:
    look = look_of(values)
    assert not look.has_gaps or len(values) > 1


def test_a_look_says_what_nearly_all_have_in_common() -> None:
    dirty = look_of(["a@b.example"] * 8 + ["nobody at all", None])
    assert (dirty.shape, dirty.is_distinct, dirty.has_gaps) == (Shape.EMAIL, False, True)
    assert look_of(["2007-05-31", "CARE3", "x y z", "1"]).shape is None
    assert look_of(["Assessor", "IQA", "IQA"]).roles == {Role.ASSESSOR: "Assessor", Role.IQA: "IQA"}
    assert look_of(["Assessor", "Caretaker"]).roles == {}


def test_columns_with_meaningless_names_are_identified_by_values() -> None:
    looks = {"c7": look_of(["a@b.example", "c@d.example"]), "c8": look_of(["9276308686", "1000000019"])}
    table = Table(
        "learner", (*_LEARNERS.columns[:3], *(Column(name, look) for name, look in looks.items())), ("StudentID",)
    )
    assert _sources(propose([table], table)[0]).items() >= {"Email": "learner.c7", "ULN": "learner.c8"}.items()


def test_a_name_that_its_values_belie_is_not_believed() -> None:
    table = Table("learner", (*_LEARNERS.columns[:3], Column("email", look_of(["yes", "no"]))), ("StudentID",))
    assert "Email" in propose([table], table)[0].missing


def test_the_table_with_learners_is_found_among_others_with_people() -> None:
    people = ("Forename", "Surname", "Email")
    tables = [
        _table("Staff", "StaffID", *people),
        _table("StudentArchive", "StudentID", *people, "ULN", "DOB", "Mobile"),
        _table("Applicant", "ApplicantID", *people, "ULN", "DOB"),
        _table("Room", "RoomID", "Name"),
        _table("Student", "StudentID", *people, "ULN", "DOB"),
    ]
    assert learners_tables(tables)[0].name == "Student"
    assert "Room" not in [table.name for table in learners_tables(tables)]


def test_enrolment_is_joined_without_foreign_key_and_newest_row_counts() -> None:
    enrolment = _table(
        "Enrolment", "EnrolmentID", "StudentID", "GroupCode", "TutorID", "StartDate", key=("EnrolmentID",)
    )
    (learners, *_) = propose([_LEARNERS, enrolment, _table("Room", "RoomID", "Name")], _LEARNERS)

    assert _sources(learners)["ClassroomMISID"] == "Enrolment.GroupCode"
    (join,) = learners.joins
    assert (join.table, join.on) == ("Enrolment", (("StudentID", "StudentID"),))
    assert [column.name for column in join.newest_by] == ["StartDate", "EnrolmentID"]
    assert learners.missing == ("PlacementID",)


def test_what_a_tutors_table_says_of_tutors_is_not_the_learners() -> None:
    tutor = _table("Tutor", "TutorID", "Forename", "Surname", "Email", "Mobile", key=("TutorID",))
    learner = _table("Student", "StudentID", "Forename", "Surname", "TutorID", key=("StudentID",))
    learner = replace(learner, references=(Reference(("TutorID",), "Tutor", ("TutorID",)),))
    learners, assessors = propose([learner, tutor], learner)
    assert "Email" in learners.missing
    assert _sources(learners)["DefaultAssessorMISID"] == "Student.TutorID"
    assert _sources(assessors)["MISID"] == "Tutor.TutorID"


def test_special_categories_are_off_until_the_operator_chooses_them() -> None:
    table = replace(_LEARNERS, columns=(*_LEARNERS.columns, *map(Column, ("Ethnicity", "Gender", "NINumber"))))
    learners = propose([table], table)[0]
    assert {one.name for one in learners.supplied if one.off} == {"L12", "L13", "NINO"}
    chosen = propose([table], table, {"NINO": ("Student", "NINumber")})[0]
    assert {one.name for one in chosen.supplied if one.off} == {"L12", "L13"}


def test_an_employers_code_is_sent_only_where_a_feed_makes_the_employers() -> None:
    table = replace(_LEARNERS, columns=(*_LEARNERS.columns, Column("LineManagerID")))
    learners = propose([table], table)[0]
    assert "DefaultEmployerMISID" in {one.name for one in learners.supplied if one.off}
    assert not [one for one in with_employers(learners).supplied if one.off]


def test_chosen_columns_override_the_proposal_and_unknown_ones_raise() -> None:
    table = replace(_LEARNERS, columns=(*_LEARNERS.columns, Column("OtherMail"), Column("ULN")))
    chosen = {"Email": ("Student", "othermail"), "ULN": None}
    learners = propose([table], table, chosen)[0]
    assert _sources(learners)["Email"] == "Student.OtherMail"
    assert learners.source_of("ULN") is None
    with pytest.raises(NotJoined, match="Nowhere"):
        propose([table], table, {"Email": ("Nowhere", "x")})
    with pytest.raises(NotJoined, match="no column nothing"):
        propose([table], table, {"Email": ("Student", "nothing")})


@pytest.mark.parametrize(
    ("make", "lines", "day"),
    [
        ("sqlite", "COALESCE(t.a, '') || CHAR(10) || COALESCE(t.b, '')", "SUBSTR(t.d, 7, 4) || '-' ||"),
        ("postgresql", "COALESCE(t.a, '') || CHR(10) || COALESCE(t.b, '')", "SUBSTR(t.d, 7, 4) || '-' ||"),
        ("oracle", "COALESCE(t.a, '') || CHR(10) || COALESCE(t.b, '')", "SUBSTR(t.d, 7, 4) || '-' ||"),
        ("mysql", "CONCAT_WS(CHAR(10 USING utf8mb4), t.a, t.b)", "CONCAT(SUBSTR(t.d, 7, 4), '-',"),
        ("mssql", "CONCAT_WS(CHAR(10), t.a, t.b)", "CONCAT(SUBSTRING(t.d, 7, 4), '-',"),
    ],
)
def test_a_query_is_in_the_sql_of_its_database(make: str, lines: str, day: str) -> None:
    dialect = Dialect(make, lambda name: name)
    assert " ".join(dialect.joined(["t.a", "t.b"], dialect.line_break).split()) == lines
    assert day in dialect.day_first("t.d")


def test_a_table_whose_name_needs_quotation_marks_has_a_shorter_one() -> None:
    reserved = {"order"}
    dialect = Dialect("mssql", lambda name: f"[{name}]" if " " in name or name in reserved else name, "mis")
    assert dialect.table("Learner Export") == "mis.[Learner Export] learner_export"
    assert dialect.table("order") == "mis.[order] the_order"
    assert dialect.table("learner") == "mis.learner"
    assert dialect.column("Learner Export", "Start Date") == "learner_export.[Start Date]"


_NAMES = st.sampled_from(
    sorted({spelling for spellings in SPELLINGS.values() for spelling in spellings} | {"x", "notes"})
)
_LOOKS = st.builds(Look, st.none() | st.sampled_from(Shape), st.booleans(), st.booleans())
_COLUMNS = st.lists(st.builds(Column, _NAMES, _LOOKS), min_size=1, max_size=25, unique_by=lambda column: column.name)


@given(st.lists(_COLUMNS, min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_every_proposal_is_a_query_with_known_columns_used_once(tables: list[list[Column]], chance: object) -> None:
    names = ["learner", "enrolment", "staff", "employer", "class"]
    schema = [Table(name, tuple(columns), (columns[0].name,)) for name, columns in zip(names, tables, strict=False)]
    dialect = Dialect("sqlite", lambda name: name)
    for feed in propose(schema, schema[0]):
        on = [one for one in feed.supplied if not one.off]
        sources = [(one.table, column.name) for one in on for column in one.columns]
        assert len(sources) == len(set(sources))
        assert len({one.name for one in feed.supplied}) == len(feed.supplied)
        sql = select_of(feed, {table.name: table for table in schema}, dialect)
        assert sql.count("SELECT") >= 1
        if not feed.missing:
            # The layout of a feed raises for what OneFile does not know.
            Layout.from_columns(feed.role, feed.name, [one.name for one in on], 5740)


def _sources(feed: Feed) -> dict[str, str]:
    return {one.name: str(one) for one in feed.supplied}

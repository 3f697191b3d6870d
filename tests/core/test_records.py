"""A row becomes a record, or is held."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.changed import find_changed
from syncd.core.fields import FIELDS, Referent, Role, columns_of
from syncd.core.records import Code, Held, Key, Layout, Reason, Record, Warned

ORGANISATION = 5740
LEARNER: dict[str, Any] = {
    "MISID": "L1",
    "FirstName": "Ann",
    "LastName": "Example",
    "Email": "ann@example.org",
    "DefaultAssessorID": 7,
    "ClassroomID": 15379,
    "PlacementID": 18928,
}
EVERYTHING = tuple(columns_of(Role.LEARNER).values())
DEFAULT_CLASSROOM = 1


def outcome(number: int = 1, /, **changes: object) -> Record | Held:
    """What becomes of a good learner's row with these values in the place of its own."""
    row = dict.fromkeys(EVERYTHING) | LEARNER | changes
    layout = Layout.from_columns(Role.LEARNER, "learners", EVERYTHING, ORGANISATION)
    return layout.read([row[column] for column in EVERYTHING], number)


def record(**changes: object) -> Record:
    made = outcome(**changes)
    assert isinstance(made, Record), made
    return made


def held(number: int = 1, /, **changes: object) -> Held:
    made = outcome(number, **changes)
    assert isinstance(made, Held), made
    return made


def test_a_good_row_becomes_a_record_of_just_what_it_fills() -> None:
    made = record(Telephone="  ", DOB=None, ULN=9276308686)

    assert made.key == Key(ORGANISATION, Role.LEARNER, "L1")
    assert made.feed == "learners"
    assert made.fields == {**LEARNER, "ULN": "9276308686"}
    assert made.codes == {}
    assert made.warnings == ()
    assert {"Telephone", "DOB", "ULN"} <= made.supplied


@pytest.mark.parametrize("name", [name for name in LEARNER if name != "MISID"])
@pytest.mark.parametrize("empty", [None, "", "  \n"])
def test_a_row_without_a_mandatory_value_is_held_and_names_it(name: str, empty: object) -> None:
    made = held(**{name: empty})

    assert (made.misid, made.reason, made.field, made.detail) == ("L1", Reason.MISSING, name, f"{name} is empty")
    assert (made.organisation_id, made.role, made.feed) == (ORGANISATION, Role.LEARNER, "learners")
    assert made.row == 0


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("FirstName", True, "FirstName is a yes/no value, not text"),
        ("Email", "ann at example.org", "Email is not an e-mail address"),
        ("ClassroomID", "Business L2", "ClassroomID is not a whole number"),
        ("PlacementID", -1, "PlacementID is out of range"),
    ],
)
def test_a_row_with_an_unusable_mandatory_value_is_held_and_says_why(name: str, value: object, detail: str) -> None:
    made = held(**{name: value})

    assert (made.misid, made.reason, made.field, made.detail) == ("L1", Reason.UNUSABLE, name, detail)


def test_a_row_with_several_faults_is_held_once_and_names_them_all() -> None:
    made = held(FirstName=None, Email="nobody", PlacementID="here")

    assert (made.reason, made.field) == (Reason.MISSING, "FirstName")
    assert made.detail == "FirstName is empty (also: Email, PlacementID)"
    assert held(Email="nobody", FirstName=None).detail == "FirstName is empty (also: Email)"


@pytest.mark.parametrize("empty", [None, "", "   "])
def test_a_row_without_a_misid_is_held_by_its_number(empty: object) -> None:
    made = held(4711, MISID=empty)

    assert (made.misid, made.row) == ("", 4711)
    assert (made.reason, made.field, made.detail) == (Reason.MISSING, "MISID", "MISID is empty")


def test_a_row_with_an_unusable_misid_is_held_by_its_number() -> None:
    made = held(4711, MISID=b"\xff")

    assert (made.misid, made.row) == ("", 4711)
    assert (made.reason, made.field, made.detail) == (Reason.UNUSABLE_KEY, "MISID", "MISID is not UTF-8 text")


def test_misids_that_differ_in_letter_case_are_two_keys() -> None:
    assert record(MISID="abc").key != record(MISID="ABC").key


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("ULN", "9276308687", "has a wrong check digit"),
        ("DOB", "29/02/2004", "is not an ISO 8601 date"),
        ("NINO", "unknown", "is not an NI number"),
        ("SupportFunding", "perhaps", "is not a yes/no value"),
        ("DefaultEmployerID", "E1", "is not a whole number"),
        ("DefaultEmployerMISID", b"\xff", "is not UTF-8 text"),
        ("Telephone", "01132\x00", "contains a NUL character"),
    ],
)
def test_an_unusable_optional_value_is_left_out_with_a_warning(name: str, value: object, detail: str) -> None:
    made = record(**{name: value})

    field = name.replace("MISID", "ID")
    assert made.fields == LEARNER
    assert made.codes == {}
    assert made.warnings == (Warned(made.key, "learners", Reason.UNUSABLE, field, f"{field} {detail}"),)


def test_unusable_optional_values_all_give_warnings_and_are_not_held() -> None:
    optional = [name for name, field in FIELDS.items() if name not in LEARNER and Role.LEARNER in field.roles]

    made = record(**dict.fromkeys(optional, b"\xff"))

    assert made.fields == LEARNER
    assert {warned.field for warned in made.warnings} == {*optional}


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ("DefaultAssessorMISID", Code(Referent.ASSESSOR, "MISID", "007")),
        ("DefaultEmployerMISID", Code(Referent.EMPLOYER, "MISID", "007")),
        ("ClassroomMISID", Code(Referent.CLASSROOM, "MISID", "007")),
        ("ClassroomName", Code(Referent.CLASSROOM, "Name", "007")),
        ("PlacementMISID", Code(Referent.PLACEMENT, "MISID", "007")),
        ("PlacementName", Code(Referent.PLACEMENT, "Name", "007")),
    ],
)
def test_a_code_in_the_place_of_an_id_is_kept_as_the_text_it_is(column: str, code: Code) -> None:
    field = column.replace("MISID", "ID").replace("Name", "ID")

    made = record(**{field: None, column: " 007 "})

    assert made.codes == {field: code}
    assert field not in made.fields


def test_an_id_wins_over_a_code() -> None:
    made = record(ClassroomID=15379, ClassroomMISID="BAD1", ClassroomName="Business L2")

    assert made.fields["ClassroomID"] == 15379
    assert made.codes == {}


def test_unusable_code_beside_a_usable_id_gives_no_warning() -> None:
    made = record(ClassroomID=15379, ClassroomMISID=b"\xff")

    assert made.fields["ClassroomID"] == 15379
    assert made.warnings == ()


@pytest.mark.parametrize("columns", [("ClassroomMISID", "ClassroomName"), ("ClassroomName", "ClassroomMISID")])
def test_a_misid_wins_over_a_name_in_whichever_order_the_columns_come(columns: tuple[str, str]) -> None:
    values = {**LEARNER, "ClassroomMISID": "BAD1", "ClassroomName": "Business L2"}
    del values["ClassroomID"]
    order = [name for name in values if name not in columns] + [*columns]

    made = Layout.from_columns(Role.LEARNER, "learners", order, ORGANISATION).read([values[name] for name in order], 1)

    assert isinstance(made, Record)
    assert made.codes == {"ClassroomID": Code(Referent.CLASSROOM, "MISID", "BAD1")}


def test_a_name_will_do_where_the_misid_is_empty_and_the_id_unusable() -> None:
    made = record(ClassroomID="?", ClassroomMISID=" ", ClassroomName="Business L2")

    assert made.codes == {"ClassroomID": Code(Referent.CLASSROOM, "Name", "Business L2")}
    assert made.warnings == ()


def test_unusable_mandatory_reference_is_held_despite_a_default() -> None:
    columns = [*LEARNER]
    layout = Layout.from_columns(Role.LEARNER, "learners", columns, ORGANISATION, {"ClassroomID": DEFAULT_CLASSROOM})
    row = {**LEARNER, "ClassroomID": "Business L2"}

    made = layout.read([row[name] for name in columns], 1)

    assert isinstance(made, Held)
    assert (made.reason, made.field) == (Reason.UNUSABLE, "ClassroomID")


def test_the_organisation_is_the_row_s_own_where_it_names_one() -> None:
    assert record(OrganisationID="6000").key == Key(6000, Role.LEARNER, "L1")
    assert record(OrganisationID=None).key == Key(ORGANISATION, Role.LEARNER, "L1")
    assert "OrganisationID" not in record(OrganisationID=6000).fields


def test_a_row_of_a_nameless_organisation_is_held() -> None:
    made = held(4711, OrganisationID="Leeds")

    assert (made.reason, made.field, made.key) == (
        Reason.UNUSABLE,
        "OrganisationID",
        Key(ORGANISATION, Role.LEARNER, "L1"),
    )
    assert made.detail == "OrganisationID is not a whole number"


@pytest.mark.parametrize("empty", [None, "", " \t"])
def test_of_several_organisations_a_row_that_names_none_is_held(empty: object) -> None:
    layout = Layout.from_columns(Role.LEARNER, "learners", EVERYTHING, ORGANISATION, has_several_organisations=True)
    values = dict.fromkeys(EVERYTHING) | LEARNER | {"OrganisationID": empty}
    row = [values[name] for name in EVERYTHING]

    made = layout.read(row, 1)

    assert isinstance(made, Held)
    assert (made.reason, made.field, made.key) == (
        Reason.MISSING,
        "OrganisationID",
        Key(ORGANISATION, Role.LEARNER, "L1"),
    )
    assert made.detail.startswith("OrganisationID is empty")
    assert layout.key_of(row) is None


@pytest.mark.parametrize("number", [5741, "5741", ORGANISATION])
def test_of_several_organisations_a_row_is_of_the_one_it_names(number: object) -> None:
    layout = Layout.from_columns(Role.LEARNER, "learners", EVERYTHING, ORGANISATION, has_several_organisations=True)
    values = dict.fromkeys(EVERYTHING) | LEARNER | {"OrganisationID": number}
    row = [values[name] for name in EVERYTHING]

    assert layout.read(row, 1).key == layout.key_of(row) == Key(int(str(number)), Role.LEARNER, "L1")


@given(st.dictionaries(st.sampled_from(EVERYTHING), st.text("жщыю", min_size=4)))
def test_messages_about_a_row_never_repeat_its_values(values: dict[str, str]) -> None:
    made = outcome(**values)

    said = [made.detail] if isinstance(made, Held) else [warned.detail for warned in made.warnings]
    assert not [value for value in values.values() for sentence in said if value in sentence]


@pytest.mark.parametrize("column", ["MISID", "DefaultAssessorMISID", "DefaultEmployerMISID", "ClassroomMISID"])
@pytest.mark.parametrize("value", ["1001.0", "1001.00", 1001.0])
def test_every_misid_column_reads_a_number_as_text_alike(column: str, value: object) -> None:
    ids = dict.fromkeys(("DefaultAssessorID", "ClassroomID")) if column != "MISID" else {}
    codes = {"DefaultAssessorMISID": "A1", "ClassroomMISID": "C1"} if ids else {}

    made = record(**ids | codes | {column: value})

    found = [made.key.misid] if column == "MISID" else [code.text for code in made.codes.values()]
    assert "1001" in found


def test_a_number_and_its_text_are_two_rows_of_one_key() -> None:
    rows = [record(MISID=misid) for misid in ("1001", "1001.0", 1001.0)]

    found = find_changed(rows, {}, b"secret", {})

    assert [(held.misid, held.reason) for held in found.held] == [("1001", Reason.DUPLICATE_KEY)]
    assert len(found.changed) == 0

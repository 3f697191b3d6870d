"""Which column of a feed is which field."""

import pytest

from syncd.core.fields import USERS, Role
from syncd.core.records import Layout, Record, UnusableColumns

ORGANISATION = 5740
STAFF = ("MISID", "FirstName", "LastName", "Email")
LEARNER = (*STAFF, "DefaultAssessorID", "ClassroomID", "PlacementID")


def layout(role: Role, *columns: str, **defaults: int) -> Layout:
    return Layout.from_columns(role, "people", columns, ORGANISATION, defaults)


def complaint(role: Role, *columns: str, **defaults: int) -> str:
    with pytest.raises(UnusableColumns) as refusal:
        layout(role, *columns, **defaults)
    return str(refusal.value)


def read(layout: Layout, *row: object) -> Record:
    record = layout.read(row, 1)
    assert isinstance(record, Record), record
    return record


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper, str.swapcase, " {} ".format])
def test_columns_are_recognised_in_any_letter_case(spelling: type[str]) -> None:
    folded = layout(Role.ASSESSOR, *map(spelling, STAFF), spelling("WorkAddress"))

    record = read(folded, "A1", "Ann", "Example", "ann@example.org", "1 High Street")

    assert record.fields == {
        "MISID": "A1",
        "FirstName": "Ann",
        "LastName": "Example",
        "Email": "ann@example.org",
        "WorkAddress": "1 High Street",
    }


def test_columns_may_come_in_any_order() -> None:
    backwards = layout(Role.ASSESSOR, *reversed(STAFF))

    record = read(backwards, "ann@example.org", "Example", "Ann", "A1")

    assert (record.key.misid, record.fields["FirstName"], record.fields["LastName"]) == ("A1", "Ann", "Example")


@pytest.mark.parametrize(
    ("column", "nearest"),
    [
        ("FristName", "FirstName"),
        ("e-mail", "Email"),
        ("classroom_id", "ClassroomID"),
        ("PlacementNmae", "PlacementName"),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest_right_name(column: str, nearest: str) -> None:
    assert (
        complaint(Role.LEARNER, *LEARNER, column)
        == f"column {column!r} is not a OneFile field; did you mean {nearest}?"
    )


def test_a_column_like_no_other_is_refused_without_a_guess() -> None:
    assert complaint(Role.LEARNER, *LEARNER, "shoe size") == (
        "column 'shoe size' is not a OneFile field; rename it or leave it out"
    )


@pytest.mark.parametrize("column", ["ULN", "StartOn", "DefaultAssessorMISID", "ClassroomID", "l14"])
def test_a_learner_s_column_is_no_column_of_an_assessor(column: str) -> None:
    assert complaint(Role.ASSESSOR, *STAFF, column).startswith(
        f"column {column!r} is not a field of the role Assessor; "
    )


@pytest.mark.parametrize("twin", ["Email", "email", " EMAIL "])
def test_a_column_that_is_there_twice_is_refused_in_any_letter_case(twin: str) -> None:
    assert complaint(Role.ASSESSOR, *STAFF, twin) == "column Email appears twice; keep one"


def test_the_organisation_column_cannot_be_there_twice_either() -> None:
    assert complaint(Role.IQA, *STAFF, "OrganisationID", "organisationid") == (
        "column OrganisationID appears twice; keep one"
    )


@pytest.mark.parametrize(
    ("role", "columns"),
    [
        (Role.IQA, STAFF),
        (Role.LEARNER, LEARNER),
        (Role.PLACEMENT, ("MISID", "Name")),
        (Role.CLASSROOM, ("MISID", "Name")),
    ],
)
def test_organisation_column_is_mandatory_with_several_organisations(role: Role, columns: tuple[str, ...]) -> None:
    with pytest.raises(UnusableColumns) as refusal:
        Layout.from_columns(role, "people", columns, ORGANISATION, has_several_organisations=True)

    assert str(refusal.value) == (
        "the column OrganisationID is missing, and it is mandatory because onefile.organisations is set: "
        "add the organisation of each row to the query"
    )
    Layout.from_columns(role, "people", columns, ORGANISATION)
    Layout.from_columns(role, "people", (*columns, "organisationid"), ORGANISATION, has_several_organisations=True)


@pytest.mark.parametrize("role", USERS)
@pytest.mark.parametrize("missing", STAFF)
def test_no_role_can_do_without_misid_names_and_email(role: Role, missing: str) -> None:
    everything = {*LEARNER} if role is Role.LEARNER else {*STAFF}
    if role in {Role.EMPLOYER, Role.OBSERVER}:
        everything.add("PlacementID")

    assert layout(role, *sorted(everything)).supplied == everything
    assert complaint(role, *sorted(everything - {missing})) == (
        f"mandatory for the role {role} and not among the columns: {missing}"
    )


def test_missing_mandatory_columns_are_named_with_their_alternatives() -> None:
    assert complaint(Role.LEARNER, "FirstName", "Email") == (
        "mandatory for the role Learner and not among the columns: MISID; LastName; "
        "DefaultAssessorID or DefaultAssessorMISID; ClassroomID or ClassroomMISID or ClassroomName; "
        "PlacementID or PlacementMISID or PlacementName"
    )


@pytest.mark.parametrize("assessor", ["DefaultAssessorID", "DefaultAssessorMISID"])
@pytest.mark.parametrize("classroom", ["ClassroomID", "ClassroomMISID", "ClassroomName"])
@pytest.mark.parametrize("placement", ["PlacementID", "PlacementMISID", "PlacementName"])
def test_a_reference_column_will_do_for_a_mandatory_id(assessor: str, classroom: str, placement: str) -> None:
    assert layout(Role.LEARNER, *STAFF, assessor, classroom, placement).supplied == {*LEARNER}


def test_a_default_will_do_for_a_mandatory_id() -> None:
    defaulted = layout(Role.LEARNER, *STAFF, "ClassroomID", DefaultAssessorID=7, PlacementID=18928)

    record = read(defaulted, "L1", "Ann", "Example", "ann@example.org", 15379)

    assert record.fields.items() >= {"DefaultAssessorID": 7, "ClassroomID": 15379, "PlacementID": 18928}.items()


def test_a_default_is_used_only_where_the_row_gives_nothing() -> None:
    defaulted = layout(Role.LEARNER, *LEARNER, "ClassroomName", ClassroomID=1, PlacementID=2)

    record = read(defaulted, "L1", "Ann", "Example", "ann@example.org", 7, None, 18928, "Business L2")

    assert "ClassroomID" not in record.fields
    assert record.codes["ClassroomID"].text == "Business L2"
    assert record.fields["PlacementID"] == 18928


def test_default_for_a_field_that_the_role_lacks_is_ignored() -> None:
    employer = layout(Role.EMPLOYER, *STAFF, PlacementID=18928, ClassroomID=15379, DefaultAssessorID=7)

    record = read(employer, "E1", "Ann", "Example", "ann@example.org")

    assert record.fields.keys() == {*STAFF, "PlacementID"}

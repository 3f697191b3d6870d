"""The catalogue, against the table of fields of a create: fact sheet §8.2, typed in anew here."""

import pytest

from syncd.core.fields import (
    FIELDS,
    GRANT,
    ORGANISATION_COLUMN,
    PERSON_COLUMN,
    PLACES,
    REFERENCE_COLUMNS,
    SENDING_ORDER,
    USERS,
    Kind,
    Referent,
    Role,
    columns_of,
    fields_of,
)

#: Mandatory, optional or none, for a learner, for staff, and for employers and observers.
TABLE = """
    FirstName         M M M
    LastName          M M M
    Email             M M M
    DefaultAssessorID M - -
    ClassroomID       M - -
    PlacementID       M - M
    MISID             O O O
    CreatedOn         O O O
    MobileNumber      O O O
    Telephone         O O O
    Website           O O O
    WorkAddress       O O O
    HomeAddress       O O O
    DOB               O O O
    CompanyName       O - -
    ProviderID        O - -
    DefaultEmployerID O - -
    ULN               O - -
    NINO              O - -
    EpisodeName       O - -
    CentreRegister    O - -
    StartOn           O - -
    PlannedEndDate    O - -
    L12               O - -
    L13               O - -
    L14               O - -
    L15               O - -
    L16               O - -
    SupportFunding    O - -
    LearnerStatusID   O - -
"""
STAFF = {Role.TRAINEE_ASSESSOR, Role.ASSESSOR, Role.IQA}
COLUMN_OF = {role: 1 if role is Role.LEARNER else 2 if role in STAFF else 3 for role in Role}
ROWS = [line.split() for line in TABLE.strip().splitlines()]


def named(role: Role, marks: str) -> set[str]:
    return {row[0] for row in ROWS if row[COLUMN_OF[role]] in marks}


@pytest.mark.parametrize("role", USERS)
def test_a_role_has_just_the_fields_of_its_column_in_the_table(role: Role) -> None:
    of_a_call_of_its_own = {GRANT} if role is Role.EMPLOYER else set()
    assert fields_of(role).keys() - of_a_call_of_its_own == named(role, "MO")


@pytest.mark.parametrize("role", USERS)
def test_a_role_cannot_do_without_just_the_mandatory_fields_of_its_column(role: Role) -> None:
    assert {name for name, field in FIELDS.items() if role in field.mandatory} == named(role, "M")


def test_places_have_the_fields_that_clients_send_and_need_only_a_name() -> None:
    """§9 and §10, the organisation left out, and the MISID that searches for both tell."""
    placement = {"MISID", "Name", "Address", "Active", "Contact", "Email", "Fax", "Telephone", "Web"}
    classroom = {"MISID", "Name", "StartOn", "Archive", "CompletionMessage", "SendCompletionMessage", "IVFinalSignOff"}
    assert fields_of(Role.PLACEMENT).keys() == placement
    assert fields_of(Role.CLASSROOM).keys() == classroom
    for role in PLACES:
        assert {name for name, field in FIELDS.items() if role in field.mandatory} == {"Name"}


def test_the_catalogue_has_the_fields_of_the_table_and_no_others() -> None:
    of_places = fields_of(Role.PLACEMENT).keys() | fields_of(Role.CLASSROOM).keys()
    assert FIELDS.keys() == {row[0] for row in ROWS} | of_places | {GRANT}
    assert all(name == field.name and "§" in field.source for name, field in FIELDS.items())


def test_roles_have_the_numbers_that_onefile_gives_them() -> None:
    assert {str(role): role.number for role in USERS} == {
        "Learner": 1,
        "Trainee Assessor": 4,
        "Assessor": 5,
        "IQA": 10,
        "Employer": 40,
        "Observer": 45,
    }


def test_referenced_roles_are_sent_before_the_roles_that_refer_to_them() -> None:
    assert sorted(SENDING_ORDER) == sorted(Role)
    assert SENDING_ORDER[-1] is Role.LEARNER
    assert Referent.ASSESSOR.roles == (Role.ASSESSOR, Role.TRAINEE_ASSESSOR)
    assert Referent.EMPLOYER.roles == (Role.EMPLOYER,)
    assert (Referent.CLASSROOM.roles, Referent.PLACEMENT.roles) == ((Role.CLASSROOM,), (Role.PLACEMENT,))
    for role in Role:
        referents = {field.referent for field in fields_of(role).values() if field.referent}
        before = SENDING_ORDER[: SENDING_ORDER.index(role)]
        assert all(other in before for referent in referents for other in referent.roles), "a cycle"


def test_date_fields_are_distinguished_from_moment_fields() -> None:
    """§15: the date-only fields are calendar dates, never instants."""
    assert {name for name, field in FIELDS.items() if field.kind is Kind.DATE} == {
        "DOB",
        "CentreRegister",
        "StartOn",
        "PlannedEndDate",
    }
    assert {name for name, field in FIELDS.items() if field.kind is Kind.MOMENT} == {"CreatedOn"}


def test_ids_are_whole_numbers_and_addresses_have_lines() -> None:
    ids = {name for name in FIELDS if name.endswith("ID") and name != "MISID"}
    assert {name for name, field in FIELDS.items() if field.kind is Kind.INTEGER} == ids
    assert {name for name, field in FIELDS.items() if field.kind is Kind.LINES} == {
        "WorkAddress",
        "HomeAddress",
        "Address",
        "CompletionMessage",
    }
    assert {name for name, field in FIELDS.items() if field.kind is Kind.BOOLEAN} == {
        "SupportFunding",
        "GrantAccess",
        "Active",
        "Archive",
        "SendCompletionMessage",
        "IVFinalSignOff",
    }


def test_ethnicity_sex_disability_and_ni_number_are_marked_as_special() -> None:
    assert {name for name, field in FIELDS.items() if field.special} == {"L12", "L13", "L14", "L15", "L16", "NINO"}


def test_a_reference_column_leads_to_an_id_that_refers_to_something() -> None:
    assert {name: (column.field, column.by) for name, column in REFERENCE_COLUMNS.items()} == {
        "DefaultAssessorMISID": ("DefaultAssessorID", "MISID"),
        "DefaultEmployerMISID": ("DefaultEmployerID", "MISID"),
        "ClassroomMISID": ("ClassroomID", "MISID"),
        "ClassroomName": ("ClassroomID", "Name"),
        "PlacementMISID": ("PlacementID", "MISID"),
        "PlacementName": ("PlacementID", "Name"),
        "LearnerStatusName": ("LearnerStatusID", "Name"),
    }
    assert {name: field.referent for name, field in FIELDS.items() if field.referent} == {
        "DefaultAssessorID": Referent.ASSESSOR,
        "DefaultEmployerID": Referent.EMPLOYER,
        "ClassroomID": Referent.CLASSROOM,
        "PlacementID": Referent.PLACEMENT,
        "LearnerStatusID": Referent.LEARNER_STATUS,
    }


@pytest.mark.parametrize("role", Role)
def test_feed_may_have_columns_for_all_role_fields_codes_and_organisation(role: Role) -> None:
    codes = {name for name, column in REFERENCE_COLUMNS.items() if column.field in fields_of(role)}

    columns = columns_of(role)

    own = {ORGANISATION_COLUMN} if role.is_place else {ORGANISATION_COLUMN, PERSON_COLUMN}
    assert {*columns.values()} == fields_of(role).keys() | codes | own
    assert all(folded == name.lower() for folded, name in columns.items())


def test_only_roles_with_a_placement_accept_a_placement_code() -> None:
    assert {role for role in Role if "placementname" in columns_of(role)} == {
        Role.LEARNER,
        Role.EMPLOYER,
        Role.OBSERVER,
    }
    assert {role for role in Role if "defaultassessormisid" in columns_of(role)} == {Role.LEARNER}

from typing import Any

import pytest

from syncd.core.fields import Role, fields_of
from syncd.simulator import ArchivedForm, DateForm, KeychainBody
from syncd.simulator.field_rules import CLASSROOM_FIELDS, PLACEMENT_FIELDS, ROLES, USER_FIELDS
from tests.support.onefile import ORGANISATION

from .conftest import Client, Open, assessor, employer, learner

ELSEWHERE: dict[str, Any] = {
    "organisations": [{"ID": ORGANISATION, "Name": "Here"}, {"ID": 6000, "Name": "Elsewhere"}],
    "classrooms": [
        {"OrganisationID": ORGANISATION, "ID": 15379, "Name": "Here"},
        {"OrganisationID": 6000, "ID": 2, "Name": "There"},
    ],
    "placements": [
        {"OrganisationID": ORGANISATION, "ID": 18928, "Name": "Here"},
        {"OrganisationID": 6000, "ID": 2, "Name": "There"},
    ],
    "users": [
        {"OrganisationID": ORGANISATION, "Role": 5, "ID": 1, "FirstName": "An", "LastName": "Assessor"},
        {"OrganisationID": 6000, "Role": 5, "ID": 2, "FirstName": "Other", "LastName": "Assessor"},
        {"OrganisationID": 6000, "Role": 40, "ID": 3, "FirstName": "Other", "LastName": "Employer"},
        {"OrganisationID": ORGANISATION, "Role": 5, "ID": 4, "FirstName": "Archived", "Archived": True},
    ],
}


def test_the_simulator_knows_every_role_that_syncd_knows() -> None:
    assert {role.number for role in Role if not role.is_place} == ROLES


@pytest.mark.parametrize("role", Role)
def test_the_simulator_knows_every_field_that_syncd_knows(role: Role) -> None:
    if role.is_place:
        known = set(CLASSROOM_FIELDS if role is Role.CLASSROOM else PLACEMENT_FIELDS)
    else:
        known = {name for name, rule in USER_FIELDS.items() if role.number in rule.roles}

    # What an employer is granted stands in a path (§11), in no create and no update.
    assert set(fields_of(role)) - {"GrantAccess"} <= known


def test_a_create_answers_id_username_and_password(client: Client) -> None:
    answer = client.post("/User", assessor())

    assert answer.status_code == 200
    assert set(answer.json()) == {"ID", "Username", "Password"}
    assert client.get(f"/User/{answer.json()['ID']}").json()["Email"] == "ann@example.org"
    assert client.onefile.world.emails == []


@pytest.mark.parametrize(
    ("body", "content"),
    [(KeychainBody.EMPTY, b""), (KeychainBody.NULL, b"null"), (KeychainBody.EMPTY_STRING, b'""')],
)
def test_with_keychain_on_a_create_answers_nothing_and_an_email_goes_out(
    open_onefile: Open, body: KeychainBody, content: bytes
) -> None:
    client = open_onefile(keychain=True, keychain_body=body)

    answer = client.post("/User", assessor())

    assert (answer.status_code, answer.content) == (200, content)
    [row] = client.search(OrganisationID=ORGANISATION, Role=5, MISID="A1")
    assert [(email.user_id, email.address) for email in client.onefile.world.emails] == [(row["ID"], "ann@example.org")]


@pytest.mark.parametrize(
    "missing",
    [
        "OrganisationID",
        "Role",
        "FirstName",
        "LastName",
        "Email",
        "DefaultAssessorID",
        "ClassroomID",
        "PlacementID",
    ],
)
@pytest.mark.parametrize("how", ["left out", None, ""])
def test_a_learner_without_a_mandatory_field_is_400(client: Client, missing: str, how: str | None) -> None:
    fields = learner(client.create(assessor()))
    fields = {name: value for name, value in fields.items() if name != missing or how != "left out"}
    if how != "left out":
        fields[missing] = how

    answer = client.post("/User", fields)

    assert answer.status_code == 400
    assert missing in answer.json()["message"]


@pytest.mark.parametrize("role", [40, 45])
def test_employers_and_observers_need_a_placement_and_no_classroom(client: Client, role: int) -> None:
    assert client.post("/User", employer(Role=role)).status_code == 200
    without = {name: value for name, value in employer(Role=role).items() if name != "PlacementID"}
    assert client.post("/User", without).status_code == 400


@pytest.mark.parametrize("role", [4, 5, 10])
def test_staff_need_neither_placement_nor_classroom(client: Client, role: int) -> None:
    assert client.post("/User", assessor(Role=role)).status_code == 200


@pytest.mark.parametrize("role", [0, 2, 20, "5", True, 5.0])
def test_a_role_that_the_api_does_not_have_is_400(client: Client, role: object) -> None:
    assert client.post("/User", assessor(Role=role)).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"DefaultAssessorID": 999},
        {"DefaultAssessorID": 2},
        {"DefaultAssessorID": 3},
        {"DefaultAssessorID": 4},
        {"DefaultEmployerID": 999},
        {"DefaultEmployerID": 1},
        {"DefaultEmployerID": 3},
        {"ClassroomID": 999},
        {"ClassroomID": 2},
        {"PlacementID": 999},
        {"PlacementID": 2},
    ],
    ids=str,
)
def test_a_reference_to_nothing_or_to_something_elsewhere_is_400(open_onefile: Open, wrong: dict[str, int]) -> None:
    client = open_onefile(seed=ELSEWHERE)
    assert client.post("/User", learner(1) | wrong).status_code == 400

    number = client.create(learner(1))

    assert client.post(f"/User/{number}", wrong).status_code == 400
    assert len(client.onefile.world.users) == 5


def test_an_organisation_of_someone_else_is_403(client: Client) -> None:
    assert client.post("/User", assessor(OrganisationID=1)).status_code == 403
    assert client.post("/User/Search", {"OrganisationID": 1, "Role": 5}).status_code == 403
    assert client.get("/Organisation/1").status_code == 403
    assert client.post("/Organisation/Search", {"CustomerID": 1}).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [{"MISID": 7}, {"DOB": "1/2/2003"}, {"Shoe": "44"}, {"ULN": "9276308686"}, {"FirstName": ["Ann"]}],
    ids=str,
)
def test_wrong_types_and_fields_that_a_role_has_not_are_400(client: Client, wrong: dict[str, object]) -> None:
    assert client.post("/User", assessor() | wrong).status_code == 400


def test_unknown_fields_can_be_let_pass(open_onefile: Open) -> None:
    client = open_onefile(refuse_unknown_fields=False)

    number = client.create(assessor(Shoe="44"))

    assert "Shoe" not in client.get(f"/User/{number}").json()


def test_names_of_fields_are_read_in_any_case_and_forms_are_read_too(client: Client) -> None:
    fields = {name.lower(): str(value) for name, value in assessor().items()}

    number = client.send_form("/User", fields).json()["ID"]

    assert client.get(f"/User/{number}").json()["OrganisationID"] == ORGANISATION


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_that_is_no_object_is_400(client: Client, content: bytes) -> None:
    answer = client.http.post(f"{client.onefile.base_url}/User/Search", content=content)

    assert answer.status_code == 400


def test_an_update_changes_what_it_names_and_answers_204(client: Client) -> None:
    number = client.create(assessor())

    answer = client.post(f"/User/{number}", {"MISID": "NewMISID"})

    assert (answer.status_code, answer.content) == (204, b"")
    after = client.get(f"/User/{number}").json()
    assert (after["MISID"], after["FirstName"]) == ("NewMISID", "Ann")


def test_role_and_organisation_in_an_update_are_ignored(client: Client) -> None:
    number = client.create(assessor())

    assert client.post(f"/User/{number}", {"Role": 1, "OrganisationID": 1, "ID": 1}).status_code == 204

    after = client.get(f"/User/{number}").json()
    assert (after["ID"], after["Role"], after["OrganisationID"]) == (number, 5, ORGANISATION)


@pytest.mark.parametrize("nothing", [None, ""])
def test_clearing_is_ignored_unless_switched_on(open_onefile: Open, nothing: str | None) -> None:
    for is_on in (False, True):
        client = open_onefile(clearing=is_on)
        number = client.create(assessor(Telephone="01234"))

        assert client.post(f"/User/{number}", {"Telephone": nothing}).status_code == 204

        assert ("Telephone" in client.get(f"/User/{number}").json()) is not is_on
        assert client.post(f"/User/{number}", {"Email": nothing}).status_code == (400 if is_on else 204)


def test_an_unknown_user_is_404_or_else_400(client: Client, open_onefile: Open) -> None:
    assert client.get("/User/1").status_code == 404
    assert client.post("/User/1", {}).status_code == 404
    assert open_onefile(unknown_id_status=400).get("/User/1").status_code == 400


def test_an_archived_learner_is_read_only_until_unarchived(client: Client) -> None:
    number = client.create(learner(client.create(assessor())))

    assert client.post(f"/User/{number}/Archive").status_code == 204
    assert client.post(f"/User/{number}/Archive", {"role": 1}).status_code == 204
    assert client.post(f"/User/{number}", {"Telephone": "1"}).status_code == 400
    assert client.get(f"/User/{number}").status_code == 200
    assert client.post(f"/User/{number}/Unarchive").status_code == 204
    assert client.post(f"/User/{number}", {"Telephone": "1"}).status_code == 204


@pytest.mark.parametrize(
    ("form", "archived", "active"),
    [
        (ArchivedForm.NOTHING, {"Role": 1}, {"Role": 1}),
        (ArchivedForm.ARCHIVED, {"Role": 1, "Archived": True}, {"Role": 1, "Archived": False}),
        (ArchivedForm.IS_ARCHIVED, {"Role": 1, "IsArchived": True}, {"Role": 1, "IsArchived": False}),
        (ArchivedForm.DATE_ARCHIVED, {"Role": 1, "DateArchived": "2026-01-15T12:00:00"}, {"Role": 1}),
        (ArchivedForm.ROLE_NUMBER, {"Role": 2}, {"Role": 1}),
        (ArchivedForm.NO_ROLE, {}, {"Role": 1}),
    ],
)
def test_archived_account_shows_in_the_form_that_is_switched_on(
    open_onefile: Open, form: ArchivedForm, archived: dict[str, Any], active: dict[str, Any]
) -> None:
    client = open_onefile(archived_form=form, full_rows=True)
    number = client.create(learner(client.create(assessor())))

    def shown() -> list[dict[str, Any]]:
        answers = [client.get(f"/User/{number}").json(), *client.search("/User/Search/1/10", MISID="L1")]
        return [{name: row[name] for name in row if name == "Role" or "Archived" in name} for row in answers]

    client.post(f"/User/{number}/Archive")
    assert shown() == [archived, archived]
    client.post(f"/User/{number}/Unarchive")
    assert shown() == [active, active]


def test_archived_staff_have_a_role_number_that_no_create_may_use(open_onefile: Open) -> None:
    client = open_onefile(archived_form=ArchivedForm.ROLE_NUMBER)
    number = client.create(assessor())
    client.post(f"/User/{number}/Archive")

    role = client.get(f"/User/{number}").json()["Role"]

    assert client.post("/User", assessor(Role=role)).status_code == 400


@pytest.mark.parametrize("status", [400, 403, 409])
def test_update_of_archived_learner_is_refused_or_carried_out(open_onefile: Open, status: int) -> None:
    for is_read_only in (True, False):
        client = open_onefile(archived_learners_read_only=is_read_only, archived_update_status=status)
        number = client.create(learner(client.create(assessor())))
        client.post(f"/User/{number}/Archive")

        assert client.post(f"/User/{number}", {"Telephone": "1"}).status_code == (status if is_read_only else 204)


def test_archiving_twice_can_be_refused(open_onefile: Open) -> None:
    client = open_onefile(refuse_repeated_archiving=True)
    number = client.create(assessor())

    assert client.post(f"/User/{number}/Unarchive").status_code == 400
    assert client.post(f"/User/{number}/Archive").status_code == 204
    assert client.post(f"/User/{number}/Archive").status_code == 400


def test_an_assessor_with_a_caseload_cannot_be_archived(client: Client) -> None:
    staff = client.create(assessor())
    number = client.create(learner(staff))

    assert client.post(f"/User/{staff}/Archive").status_code == 400
    client.post(f"/User/{number}/Archive")
    assert client.post(f"/User/{staff}/Archive").status_code == 204


def test_a_misid_may_be_shared_unless_that_is_switched_off(client: Client, open_onefile: Open) -> None:
    assert client.create(assessor()) != client.create(assessor())

    strict = open_onefile(refuse_duplicate_misid=True)
    number = strict.create(assessor())
    assert strict.post("/User", assessor()).status_code == 400
    assert strict.post(f"/User/{number}", {"MISID": "A1"}).status_code == 204


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("ULN", "9276308686", "9276308687"),
        ("ULN", "9999999999", "0276308686"),
        ("NINO", "AB123456C", "AB 12 34 56 C"),
        ("L12", "31", "30"),
        ("L13", "F", "female"),
        ("L14", "1", "3"),
        ("Email", "a@example.org", "a at example.org"),
        ("FirstName", "A" * 50, "A" * 51),
    ],
)
def test_strict_mode_looks_at_values_and_others_do_not(open_onefile: Open, name: str, good: str, bad: str) -> None:
    strict, lax = open_onefile(strict=True), open_onefile()
    staff = strict.create(assessor())

    assert strict.post("/User", learner(staff, **{name: good})).status_code == 200
    assert strict.post("/User", learner(staff, **{name: bad})).status_code == 400
    assert lax.post("/User", learner(lax.create(assessor()), **{name: bad})).status_code == 200


@pytest.mark.parametrize(
    ("form", "summer", "winter"),
    [
        (DateForm.PLAIN, "2022-06-01T00:00:00", "2022-01-01T00:00:00"),
        (DateForm.ZULU, "2022-06-01T00:00:00.000Z", "2022-01-01T00:00:00.000Z"),
        (DateForm.BST_SHIFT, "2022-05-31T23:00:00.000Z", "2022-01-01T00:00:00.000Z"),
    ],
)
def test_dates_are_answered_in_the_form_of_the_switch(
    open_onefile: Open, form: DateForm, summer: str, winter: str
) -> None:
    client = open_onefile(date_form=form)
    number = client.create(assessor(DOB="2022-06-01T00:00:00.000Z", CreatedOn="2022-01-01"))

    answer = client.get(f"/User/{number}").json()

    assert (answer["DOB"], answer["CreatedOn"]) == (summer, winter)

"""The fields, their roles and their allowed values: sections 8.2, 9, 10 and 11.

These tables are written from the fact sheet and not from the client's catalogue, so that the two cannot share a
mistake.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from syncd.simulator.errors import bad_request
from syncd.simulator.switches import Switches

LEARNER: Final = 1
TRAINEE_ASSESSOR: Final = 4
ASSESSOR: Final = 5
IQA: Final = 10
EMPLOYER: Final = 40
OBSERVER: Final = 45
ROLES: Final = frozenset({LEARNER, TRAINEE_ASSESSOR, ASSESSOR, IQA, EMPLOYER, OBSERVER})
"""The roles that the API knows (§8.1)."""

_JUST_LEARNERS: Final = frozenset({LEARNER})
_PLACED: Final = frozenset({LEARNER, EMPLOYER, OBSERVER})


class Form(Enum):
    """The type of a field."""

    TEXT = "a text"
    NUMBER = "a whole number"
    FLAG = "true or false"
    MOMENT = "an ISO 8601 date"
    TEXTS = "a list of texts"


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule for one field."""

    form: Form = Form.TEXT
    roles: frozenset[int] = ROLES
    """The roles that have it; ignored for classrooms and placements."""
    mandatory: frozenset[int] = frozenset()
    """The roles that cannot be created without it."""
    is_settable: bool = True
    """False for fields that clients send and OneFile ignores."""
    longest: int | None = None
    """In characters; checked only in strict mode (U24)."""


_OPTIONAL_TEXT: Final = Rule()
_LEARNER_TEXT: Final = Rule(roles=_JUST_LEARNERS)
_LEARNER_NUMBER: Final = Rule(Form.NUMBER, roles=_JUST_LEARNERS)
_LEARNER_MOMENT: Final = Rule(Form.MOMENT, roles=_JUST_LEARNERS)

USER_FIELDS: Final[dict[str, Rule]] = {
    # Set by a create, ignored by an update (U22), as is the ID that one client sends (§8.4).
    "ID": Rule(Form.NUMBER, is_settable=False),
    "OrganisationID": Rule(Form.NUMBER, is_settable=False),
    "Role": Rule(Form.NUMBER, is_settable=False),
    "FirstName": Rule(mandatory=ROLES, longest=50),
    "LastName": Rule(mandatory=ROLES, longest=50),
    "Email": Rule(mandatory=ROLES, longest=255),
    "DefaultAssessorID": Rule(Form.NUMBER, _JUST_LEARNERS, mandatory=_JUST_LEARNERS),
    "ClassroomID": Rule(Form.NUMBER, _JUST_LEARNERS, mandatory=_JUST_LEARNERS),
    "PlacementID": Rule(Form.NUMBER, _PLACED, mandatory=_PLACED),
    "MISID": _OPTIONAL_TEXT,
    "CreatedOn": Rule(Form.MOMENT),
    "MobileNumber": _OPTIONAL_TEXT,
    "Telephone": _OPTIONAL_TEXT,
    "Website": _OPTIONAL_TEXT,
    "WorkAddress": _OPTIONAL_TEXT,
    "HomeAddress": _OPTIONAL_TEXT,
    "DOB": Rule(Form.MOMENT),
    "CompanyName": _LEARNER_TEXT,
    "ProviderID": _LEARNER_NUMBER,
    "DefaultEmployerID": _LEARNER_NUMBER,
    "ULN": _LEARNER_TEXT,
    "NINO": _LEARNER_TEXT,
    "EpisodeName": _LEARNER_TEXT,
    "CentreRegister": _LEARNER_MOMENT,
    "StartOn": _LEARNER_MOMENT,
    "PlannedEndDate": _LEARNER_MOMENT,
    "L12": _LEARNER_TEXT,
    "L13": _LEARNER_TEXT,
    "L14": _LEARNER_TEXT,
    "L15": _LEARNER_TEXT,
    "L16": _LEARNER_TEXT,
    "SupportFunding": Rule(Form.FLAG, _JUST_LEARNERS),
    "LearnerStatusID": _LEARNER_NUMBER,
    # Not in OneFile's help, but sent by a client in use (§8.2).
    "Username": _OPTIONAL_TEXT,
    "PrimaryLLDDCode": _LEARNER_TEXT,
    "SecondaryLLDDCodes": Rule(Form.TEXTS, roles=_JUST_LEARNERS),
}

_NEEDED: Final = Rule(mandatory=ROLES)
_PLACE_FIELDS: Final[dict[str, Rule]] = {
    "ID": Rule(Form.NUMBER, is_settable=False),
    "OrganisationID": Rule(Form.NUMBER, is_settable=False),
    "Name": _NEEDED,
    "MISID": _OPTIONAL_TEXT,
}

CLASSROOM_FIELDS: Final[dict[str, Rule]] = {
    **_PLACE_FIELDS,
    "StartOn": Rule(Form.MOMENT),
    "Archive": Rule(Form.FLAG),
    "CompletionMessage": _OPTIONAL_TEXT,
    "SendCompletionMessage": Rule(Form.FLAG),
    "IVFinalSignOff": Rule(Form.FLAG),
}

PLACEMENT_FIELDS: Final[dict[str, Rule]] = {
    **_PLACE_FIELDS,
    "Address": _OPTIONAL_TEXT,
    "Active": Rule(Form.FLAG),
    "Contact": _OPTIONAL_TEXT,
    "Email": _OPTIONAL_TEXT,
    "Fax": _OPTIONAL_TEXT,
    "Telephone": _OPTIONAL_TEXT,
    "Web": _OPTIONAL_TEXT,
}

_ASSIGN_FIELDS: Final[dict[str, Rule]] = {"LearnerID": Rule(Form.NUMBER, mandatory=ROLES), "Level": Rule(Form.NUMBER)}
#: The fields of an Assign, by level (§11). Unit ids are texts, standard ids are numbers (§12).
ASSIGN_FIELDS: Final[dict[int, dict[str, Rule]]] = {
    1: _ASSIGN_FIELDS,
    2: {**_ASSIGN_FIELDS, "UnitID": _NEEDED},
    3: {**_ASSIGN_FIELDS, "StandardID": Rule(Form.NUMBER, mandatory=ROLES)},
}
_TUTORS: Final = frozenset({TRAINEE_ASSESSOR, ASSESSOR, IQA})
#: The roles that each level allows (§11): units and learning aims have no employers and observers.
ASSIGNEES: Final[dict[int, frozenset[int]]] = {1: _TUTORS | {EMPLOYER, OBSERVER}, 2: _TUTORS, 3: _TUTORS}

#: The filters that known clients use (§8.6).
USER_FILTERS: Final[dict[str, Rule]] = {
    "OrganisationID": Rule(Form.NUMBER),
    "Role": Rule(Form.NUMBER),
    "FirstName": _OPTIONAL_TEXT,
    "LastName": _OPTIONAL_TEXT,
    "MISID": _OPTIONAL_TEXT,
    "Email": _OPTIONAL_TEXT,
    "PlacementID": Rule(Form.NUMBER),
    "LastModified": Rule(Form.MOMENT),
}
#: Only OrganisationID is documented; Name works too (§9). LastModified is known for users only.
PLACE_FILTERS: Final[dict[str, Rule]] = {
    "OrganisationID": Rule(Form.NUMBER),
    "Name": _OPTIONAL_TEXT,
    "MISID": _OPTIONAL_TEXT,
}
ORGANISATION_FILTERS: Final[dict[str, Rule]] = {"CustomerID": Rule(Form.NUMBER)}


@dataclass(frozen=True, slots=True)
class Sent:
    """The fields of a request, in OneFile's spelling."""

    values: dict[str, Any]
    cleared: frozenset[str]
    """The fields sent as null or ``""``: ignored unless clearing is on (U16)."""


def from_form(fields: Mapping[str, str], table: Mapping[str, Rule]) -> dict[str, Any]:
    """Converts the texts of a form to the types that JSON would have (§4: both encodings work)."""
    forms = {name.lower(): rule.form for name, rule in table.items()}
    return {name: _from_text(forms.get(name.lower(), Form.TEXT), text) for name, text in fields.items()}


def _from_text(form: Form, text: str) -> object:
    if form is Form.NUMBER and re.fullmatch(r"-?\d+", text):
        return int(text)
    if form is Form.FLAG and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return [text] if form is Form.TEXTS else text


def read(fields: Mapping[str, Any], table: Mapping[str, Rule], switches: Switches, role: int | None = None) -> Sent:
    """Reads fields by a table: names in any case (§4), types checked (U23).

    Args:
        fields: as received.
        table: one of this module's tables.
        switches: the behaviour that the fact sheet leaves open.
        role: the user's role; None if the fields are not a user's.

    Raises:
        ApiError: 400 for a name that the table or the role does not have, or a value of the wrong type.
    """
    spelling = {name.lower(): name for name in table}
    values: dict[str, Any] = {}
    cleared: set[str] = set()
    for sent_name, value in fields.items():
        name = spelling.get(sent_name.lower())
        if name is None or (role is not None and role not in table[name].roles):
            if switches.refuse_unknown_fields:
                raise bad_request(f"{sent_name} is not a field here." if role is None else _not_for(sent_name, role))
            continue
        if value is None or value == "":
            cleared.add(name)
            continue
        if not _is(table[name].form, value):
            raise bad_request(f"{name} must be {table[name].form.value}, not {value!r}.")
        values[name] = value
    return Sent(values, frozenset(cleared))


def _not_for(name: str, role: int) -> str:
    return f"{name} is not a field of a user with role {role}."


def _is(form: Form, value: object) -> bool:
    match form:
        case Form.TEXT:
            return isinstance(value, str)
        case Form.NUMBER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Form.FLAG:
            return isinstance(value, bool)
        case Form.MOMENT:
            return isinstance(value, str) and is_moment(value)
        case Form.TEXTS:
            return isinstance(value, list) and all(isinstance(text, str) for text in value)


def settable(sent: Sent, table: Mapping[str, Rule]) -> dict[str, Any]:
    """Returns the fields sent, without those that cannot be set."""
    return {name: value for name, value in sent.values.items() if table[name].is_settable}


def updated(
    before: Mapping[str, Any], sent: Sent, table: Mapping[str, Rule], switches: Switches, role: int = LEARNER
) -> dict[str, Any]:
    """Returns the fields after an update; empty values clear fields if clearing is on (U16).

    Args:
        before: the fields as they were.
        sent, table, switches: as for `read`.
        role: the user's; any role for places.

    Raises:
        ApiError: 400 if a mandatory field would be cleared.
    """
    cleared = sent.cleared if switches.clearing else frozenset()
    for name in sorted(cleared):
        if role in table[name].mandatory:
            raise bad_request(f"{name} must not be empty.")
    return {name: value for name, value in before.items() if name not in cleared} | settable(sent, table)


def role_in(fields: Mapping[str, Any]) -> int:
    """Returns the role that a create or a search names; the field name may be in any case.

    Raises:
        ApiError: 400 if the role is missing or not in the API (§8.1).
    """
    return _number_in(fields, "Role", ROLES)


def level_in(fields: Mapping[str, Any]) -> int:
    """Returns the level that an Assign names (§11). Raises as `role_in` does."""
    return _number_in(fields, "Level", ASSIGN_FIELDS)


def _number_in(fields: Mapping[str, Any], name: str, choices: Container[int]) -> int:
    number = next((value for sent_name, value in fields.items() if sent_name.lower() == name.lower()), None)
    if number is None:
        raise bad_request(f"{name} must be given.")
    if not isinstance(number, int) or isinstance(number, bool) or number not in choices:
        raise bad_request(f"{name} {number!r} is not supported.")
    return number


def seconds_of(moment: str) -> float:
    """Returns a date as seconds since 1970; a date without a zone is UTC (§15)."""
    parsed = datetime.fromisoformat(moment)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def is_moment(text: str) -> bool:
    """Whether a text is a date in one of the forms that OneFile accepts (§15)."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "-" in text


def require(sent: Sent, table: Mapping[str, Rule], role: int = LEARNER) -> None:
    """Refuses a create without the mandatory fields of its role (§8.2); any role for places.

    Raises:
        ApiError: 400, naming every missing field.
    """
    missing = [name for name, rule in table.items() if role in rule.mandatory and _is_blank(sent.values.get(name))]
    if missing:
        raise bad_request(f"{', '.join(missing)} must be given.")


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())

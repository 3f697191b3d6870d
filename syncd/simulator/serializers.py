"""The shapes of responses: section 19, and U25 for dates."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from syncd.simulator.field_rules import LEARNER, USER_FIELDS, Form, Rule, is_moment
from syncd.simulator.models import Assignment, Organisation, Place, User
from syncd.simulator.switches import ArchivedForm, DateForm, MisidForm, Switches

_LONDON: Final = ZoneInfo("Europe/London")
#: The group number that archived learners have in OneFile's extract (§8.1).
_ARCHIVED_LEARNER: Final = 2
#: The numbers of the other archived roles are not known; these are of no role.
_OTHER_ARCHIVED: Final = 1000


def organisation_row(organisation: Organisation) -> dict[str, Any]:
    """An organisation, in searches and alone (§7)."""
    return {
        "ID": organisation.id,
        "Name": organisation.name,
        "KeychainCreationForNewUserActive": organisation.creates_keychains,
        "KeychainEmailSuppression": organisation.suppresses_emails,
    }


def status_row(number: int, name: str) -> dict[str, Any]:
    """A learner status (§7). No such response is known; these are the keys of every other list."""
    return {"ID": number, "Name": name}


def short_row(user: User) -> dict[str, Any]:
    """A user in a search (§8.6); without the key MISID if there is none (§19)."""
    row = {"ID": user.id, "FirstName": user.values.get("FirstName"), "LastName": user.values.get("LastName")}
    return {**row, "MISID": user.misid} if user.misid else row


def searched(row: dict[str, Any], form: MisidForm) -> dict[str, Any]:
    """A row as a search returns it, with the MISID in this form."""
    misid = str(row.get("MISID", ""))
    is_number = form == MisidForm.NUMBER and misid.isascii() and misid.isdigit()
    return {**row, "MISID": int(misid)} if is_number else row


def full_row(user: User, form: DateForm) -> dict[str, Any]:
    """A user read by id: all fields that have a value (§8.5)."""
    return {
        "ID": user.id,
        "OrganisationID": user.organisation_id,
        "Role": user.role,
        "Username": user.username,
        **_dated(user.values, USER_FIELDS, form),
        "LastModified": _moment(datetime.fromtimestamp(user.modified_at, UTC), form),
    }


def shown_row(user: User, switches: Switches) -> dict[str, Any]:
    """A user as OneFile's answers show it: the full row, and whether the account is archived (U5)."""
    row, form = full_row(user, switches.date_form), switches.archived_form
    match form:
        case ArchivedForm.ARCHIVED | ArchivedForm.IS_ARCHIVED:
            row[form.value] = user.is_archived
        case ArchivedForm.DATE_ARCHIVED if user.is_archived:
            # Archiving is the last change of most archived accounts.
            row[form.value] = row["LastModified"]
        case ArchivedForm.ROLE_NUMBER if user.is_archived:
            row["Role"] = _ARCHIVED_LEARNER if user.role == LEARNER else _OTHER_ARCHIVED + user.role
        case ArchivedForm.NO_ROLE if user.is_archived:
            del row["Role"]
    return row


def assignment_row(assignment: Assignment) -> dict[str, Any]:
    """An assignment, in the field names of Assign (§11); OneFile itself never returns it."""
    row = {
        "UserID": assignment.user_id,
        "LearnerID": assignment.learner_id,
        "Level": assignment.level,
        "UnitID": assignment.unit_id,
        "StandardID": assignment.standard_id,
    }
    return {name: value for name, value in row.items() if value is not None}


def place_row(place: Place) -> dict[str, Any]:
    """A classroom or placement in a search (§19)."""
    return {"ID": place.id, "Name": place.name, **({"MISID": place.misid} if place.misid else {})}


def full_place_row(place: Place, table: Mapping[str, Rule], switches: Switches) -> dict[str, Any]:
    """A classroom or placement read by id (§9, §10); ``table`` defines which fields are dates."""
    values = _dated(place.values, table, switches.date_form)
    if switches.flags_as_text:
        values = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
    return {"ID": place.id, "OrganisationID": place.organisation_id, **values}


def _dated(values: Mapping[str, Any], table: Mapping[str, Rule], form: DateForm) -> dict[str, Any]:
    return {
        name: _written(value, form) if name in table and table[name].form is Form.MOMENT else value
        for name, value in values.items()
        if value is not None
    }


def _written(value: object, form: DateForm) -> object:
    # A seed may have invalid dates; they are returned unchanged.
    if not isinstance(value, str) or not is_moment(value):
        return value
    moment = datetime.fromisoformat(value)
    return _moment(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC), form)


def _moment(moment: datetime, form: DateForm) -> str:
    if form == DateForm.PLAIN:
        return moment.strftime("%Y-%m-%dT%H:%M:%S")
    if form == DateForm.BST_SHIFT:
        moment = moment.replace(tzinfo=_LONDON).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")

"""Which users a search finds: section 8.6. The rule for MISID applies to places too."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from syncd.simulator.field_rules import seconds_of
from syncd.simulator.models import User
from syncd.simulator.switches import MisidFilter, NameFilter, Switches


def fits(user: User, wanted: Mapping[str, Any], switches: Switches) -> bool:
    """Whether a user passes every filter.

    A search by role omits archived users, because archiving looks like a change of role (§8.1, U4); a search
    without a role finds them. MISID and names are matched as the switches say. PlacementID must be equal, an e-mail
    address equal in any case, and LastModified means "since then, inclusive" (U29).
    """
    if "Role" in wanted and user.is_archived and not switches.archived_in_searches:
        return False
    return all(_fits(user, name, value, switches) for name, value in wanted.items())


def _fits(user: User, name: str, value: Any, switches: Switches) -> bool:
    match name:
        case "OrganisationID" | "Role":
            return bool({"OrganisationID": user.organisation_id, "Role": user.role}[name] == value)
        case "MISID":
            return fits_misid(user.misid or "", value, switches.misid_filter)
        case "FirstName" | "LastName":
            return _fits_name(str(user.values.get(name, "")), value, switches.name_filter)
        case "Email":
            return bool(str(user.values.get(name, "")).lower() == value.lower())
        case "LastModified":
            return user.modified_at >= seconds_of(value)
        case _:
            return bool(user.values.get(name) == value)


def fits_misid(misid: str, wanted: str, misid_filter: MisidFilter) -> bool:
    """Whether a search for the MISID ``wanted`` finds this one (U6)."""
    match misid_filter:
        case MisidFilter.EXACT:
            return misid == wanted
        case MisidFilter.ANY_CASE:
            return misid.casefold() == wanted.casefold()
        case MisidFilter.PREFIX:
            return misid.startswith(wanted)
        case MisidFilter.IGNORED:
            return True


def _fits_name(name: str, wanted: str, name_filter: NameFilter) -> bool:
    match name_filter:
        case NameFilter.LOOSE:
            return _bare(name) == _bare(wanted)
        case NameFilter.PREFIX:
            return name.startswith(wanted)
        case NameFilter.IGNORED:
            return True
        case _:
            return name == wanted


def _bare(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))

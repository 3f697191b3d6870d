"""The seed: the initial data of a simulator, and data that tests add later, as JSON or as a dict.

Example::

    {"organisations": [{"ID": 5740, "Name": "North", "KeychainCreationForNewUserActive": true,
                        "LearnerStatuses": [{"ID": 7, "Name": "Active"}, {"Name": "Withdrawn"}]}],
     "classrooms": [{"OrganisationID": 5740, "Name": "Business Admin L2", "MISID": "BAD1"}],
     "placements": [{"OrganisationID": 5740, "Name": "Default Placement"}],
     "users": [{"OrganisationID": 5740, "Role": 5, "FirstName": "Ann", "LastName": "Example", "Archived": true}]}

Missing ids are assigned; each organisation numbers its own learner statuses, from 1. Users need a role and an
organisation and are not validated further: real accounts have values that today's rules would refuse, and tests need
such values.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.simulator.field_rules import USER_FIELDS
from syncd.simulator.models import Organisation, Place, User
from syncd.simulator.places import Places
from syncd.simulator.world import World, username_for

_Rows = tuple[dict[str, Any], ...]
_PARTS = ("organisations", "classrooms", "placements", "users")


class SeedRefused(ValueError):
    """A seed is malformed; the message is one sentence that says where."""


@dataclass(frozen=True, slots=True)
class Seed:
    """Rows to add to a world; None for the default rows."""

    organisations: _Rows | None = None
    classrooms: _Rows | None = None
    placements: _Rows | None = None
    users: _Rows | None = None

    @classmethod
    def of(cls, document: object) -> "Seed":
        """Returns the seed of a parsed JSON document.

        Raises:
            SeedRefused: if it has another shape.
        """
        if not isinstance(document, Mapping):
            raise SeedRefused("A seed is a JSON object.")
        for name, rows in document.items():
            if name not in _PARTS:
                raise SeedRefused(f"A seed has no part {name!r}; it has {', '.join(_PARTS)}.")
            if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
                raise SeedRefused(f"{name} is a list of objects.")
        return cls(**{name: tuple(dict(row) for row in rows) for name, rows in document.items()})

    @classmethod
    def from_file(cls, path: Path) -> "Seed":
        """Reads a file.

        Raises:
            SeedRefused: if it cannot be read, is not JSON, or has another shape.
        """
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8-sig")))
        except OSError as problem:
            raise SeedRefused(f"The file cannot be read ({problem.strerror}).") from problem
        except (UnicodeDecodeError, json.JSONDecodeError) as problem:
            raise SeedRefused(f"It is not JSON ({problem}).") from problem


#: The data of OneFile's own examples (§6, §7, §9, §10), with the learner statuses of one centre (§7).
DEFAULT_SEED = Seed(
    organisations=(
        {
            "ID": 5740,
            "Name": "Example Organisation - Business",
            "LearnerStatuses": [
                {"Name": "Active"},
                {"Name": "Active - Cause for Concern"},
                {"Name": "Withdrawn"},
                {"Name": "Completed"},
                {"Name": "Archive"},
            ],
        },
    ),
    classrooms=({"OrganisationID": 5740, "ID": 15379, "Name": "Business Admin L2", "MISID": "BAD1"},),
    placements=({"OrganisationID": 5740, "ID": 18928, "Name": "Default Placement", "MISID": "DEF"},),
)


def start(world: World, seed: Seed | None) -> None:
    """Fills an empty world from a seed; parts that it omits come from the default seed.

    A seed with organisations gets no default classroom or placement.

    Raises:
        SeedRefused: as `sow` does.
    """
    seed = seed or Seed()
    if seed.organisations is None:
        seed = Seed(
            DEFAULT_SEED.organisations,
            DEFAULT_SEED.classrooms if seed.classrooms is None else seed.classrooms,
            DEFAULT_SEED.placements if seed.placements is None else seed.placements,
            seed.users,
        )
    sow(world, seed)


def sow(world: World, seed: Seed) -> None:
    """Adds a seed's rows to a world; an organisation that exists is updated from the seed.

    Raises:
        SeedRefused: for a row with a missing field or an id in use; earlier rows stay.
    """
    for row in seed.organisations or ():
        _sow_organisation(world, row)
    for row in seed.classrooms or ():
        _sow_place(world, world.classrooms, "classroom", row)
    for row in seed.placements or ():
        _sow_place(world, world.placements, "placement", row)
    for row in seed.users or ():
        _sow_user(world, row)


def _sow_organisation(world: World, row: dict[str, Any]) -> None:
    number = row.get("ID", max(world.organisations.by_id, default=5739) + 1)
    _require_number(number, f"An organisation's ID is a positive whole number, not {number!r}.")
    known = world.organisations.by_id.get(number)
    before = known or Organisation(number, f"Organisation {number}", world.switches.keychain)
    world.organisations.by_id[number] = Organisation(
        number,
        str(row.get("Name", before.name)),
        bool(row.get("KeychainCreationForNewUserActive", before.creates_keychains)),
        bool(row.get("KeychainEmailSuppression", before.suppresses_emails)),
        _learner_statuses(row["LearnerStatuses"]) if "LearnerStatuses" in row else before.learner_statuses,
    )


def _learner_statuses(rows: object) -> dict[int, str]:
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise SeedRefused("LearnerStatuses is a list of objects.")
    statuses: dict[int, str] = {}
    for row in rows:
        values = dict(row)
        number = _take_id(values, statuses, max(statuses, default=0) + 1, "learner status")
        if not isinstance(values.get("Name"), str):
            raise SeedRefused("A learner status needs a Name.")
        statuses[number] = values["Name"]
    return statuses


def _sow_place(world: World, places: Places, kind: str, row: dict[str, Any]) -> None:
    values = _spelt(row, places.table)
    organisation_id = _take_organisation(world, kind, values)
    number = _take_id(values, places.by_id, places.free_id, kind)
    if not isinstance(values.get("Name"), str):
        raise SeedRefused(f"A {kind} needs a Name.")
    places.by_id[number] = Place(number, organisation_id, _long_ago(world), values)


def _sow_user(world: World, row: dict[str, Any]) -> None:
    values = _spelt(row, USER_FIELDS)
    organisation_id = _take_organisation(world, "user", values)
    role = values.pop("Role", None)
    _require_number(role, f"A user needs a Role, as a number, not {role!r}.")
    number = _take_id(values, world.users, world.free_user_id, "user")
    is_archived = bool(values.pop("Archived", False))
    username = str(values.pop("Username", None) or username_for(values, number))
    created_at = _long_ago(world)
    world.users[number] = User(number, organisation_id, role, username, created_at, created_at, values, is_archived)


def _long_ago(world: World) -> float:
    # Seeded rows are old, so that a search lag does not hide them.
    return world.clock() - world.switches.search_lag_seconds


def _spelt(row: Mapping[str, Any], table: Mapping[str, object]) -> dict[str, Any]:
    spelling = {name.lower(): name for name in (*table, "Archived")}
    return {spelling.get(name.lower(), name): value for name, value in row.items()}


def _take_organisation(world: World, kind: str, values: dict[str, Any]) -> int:
    number: object = values.pop("OrganisationID", None)
    if not isinstance(number, int) or number not in world.organisations.by_id:
        raise SeedRefused(f"A {kind} needs the OrganisationID of an organisation that exists, not {number!r}.")
    return number


def _take_id(values: dict[str, Any], taken: Mapping[int, object], free: int, kind: str) -> int:
    number: int = values.pop("ID", free)
    _require_number(number, f"A {kind}'s ID is a positive whole number, not {number!r}.")
    if number in taken:
        raise SeedRefused(f"There is a {kind} with the ID {number} already.")
    return number


def _require_number(value: object, sentence: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SeedRefused(sentence)

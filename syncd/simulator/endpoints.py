"""The endpoints of section 5 that the simulator has: what each does and returns.

`syncd.simulator.app` has authenticated every call that arrives here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar

from syncd.simulator import serializers
from syncd.simulator.errors import ApiError, bad_request
from syncd.simulator.field_rules import (
    ASSIGN_FIELDS,
    ORGANISATION_FILTERS,
    PLACE_FILTERS,
    USER_FIELDS,
    USER_FILTERS,
    Rule,
    from_form,
)
from syncd.simulator.models import User
from syncd.simulator.places import Places
from syncd.simulator.responses import Answer, json_answer, keychain_answer, nothing
from syncd.simulator.switches import OverCap
from syncd.simulator.world import World

_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request, read as JSON or as a form (§4)."""

    value: Any = None
    """None if there is no body, or if it cannot be read."""
    is_form: bool = False
    is_readable: bool = True

    def fields(self, table: Mapping[str, Rule]) -> dict[str, Any]:
        """Returns its fields, none if it is empty; 400 if it is not an object."""
        if self.value is None and self.is_readable:
            return {}
        if not isinstance(self.value, dict):
            raise bad_request("The body must be an object with fields.")
        return from_form(self.value, table) if self.is_form else dict(self.value)


#: The variable parts of a path: numbers, except ``grant``, which is a text.
_Parts = dict[str, Any]
_Endpoint = Callable[["Endpoints", _Parts, Body], Answer]


class Endpoints:
    """Carries out calls on a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._switches = world.switches

    def call(self, method: str, path: str, body: Body) -> Answer:
        """Carries out a call.

        Args:
            method: in capitals.
            path: below the base URL, in any case (§1).
            body: of the request.

        Raises:
            ApiError: 404 for an unknown endpoint; otherwise as the world's operations do.
        """
        for endpoint_method, pattern, endpoint in _ENDPOINTS:
            match = pattern.fullmatch(path)
            if match is not None and endpoint_method == method:
                parts = {
                    name: text if name == "grant" else int(text)
                    for name, text in match.groupdict().items()
                    if text is not None
                }
                return endpoint(self, parts, body)
        raise ApiError(HTTPStatus.NOT_FOUND, f"There is no {method} {path}.")

    def customer(self, _parts: _Parts, _body: Body) -> Answer:
        """The customer that the token belongs to (§6)."""
        organisations = self._world.organisations
        return json_answer({"ID": organisations.customer_id, "Name": organisations.customer_name})

    def search_organisations(self, parts: _Parts, body: Body) -> Answer:
        """The organisations of the customer (§7)."""
        found = self._world.organisations.search(body.fields(ORGANISATION_FILTERS))
        return self._page(found, parts, serializers.organisation_row)

    def get_organisation(self, parts: _Parts, _body: Body) -> Answer:
        """One organisation (§5)."""
        return json_answer(serializers.organisation_row(self._world.organisations.get(parts["id"])))

    def learner_statuses(self, parts: _Parts, _body: Body) -> Answer:
        """The learner statuses of one organisation (§7), as an array; an empty one if there are none."""
        statuses = self._world.organisations.get(parts["id"]).learner_statuses
        return json_answer([serializers.status_row(number, name) for number, name in sorted(statuses.items())])

    def create_user(self, _parts: _Parts, body: Body) -> Answer:
        """Id, username and password; nothing while Keychain creation is on (§8.3)."""
        user = self._world.create_user(body.fields(USER_FIELDS))
        if self._world.organisations.get(user.organisation_id).creates_keychains:
            return keychain_answer(self._switches.keychain_body)
        return json_answer({"ID": user.id, "Username": user.username, "Password": f"never-log-this-{user.id}"})

    def update_user(self, parts: _Parts, body: Body) -> Answer:
        """204 (§8.4)."""
        self._world.update_user(parts["id"], body.fields(USER_FIELDS))
        return nothing()

    def get_user(self, parts: _Parts, _body: Body) -> Answer:
        """Everything about one user (§8.5)."""
        return json_answer(self._full_row(self._world.user(parts["id"])))

    def search_users(self, parts: _Parts, body: Body) -> Answer:
        """Short rows, or in a paged search full ones if switched on (§8.6, U2)."""
        found = self._world.search_users(body.fields(USER_FILTERS))
        is_full = self._switches.full_rows and "page" in parts
        return self._page(found, parts, self._full_row if is_full else serializers.short_row)

    def archive_user(self, parts: _Parts, _body: Body) -> Answer:
        """204 or 200; the body is ignored (§8.7, U17)."""
        self._world.archive_user(parts["id"])
        return nothing(self._switches.done_status)

    def unarchive_user(self, parts: _Parts, _body: Body) -> Answer:
        """204 or 200; the body is ignored (§8.7, U17)."""
        self._world.unarchive_user(parts["id"])
        return nothing(self._switches.done_status)

    def assign(self, parts: _Parts, body: Body) -> Answer:
        """204 or 200 (§11, U17)."""
        every_field = {name: rule for table in ASSIGN_FIELDS.values() for name, rule in table.items()}
        self._world.assign(parts["id"], body.fields(every_field))
        return nothing(self._switches.done_status)

    def assign_placement(self, parts: _Parts, _body: Body) -> Answer:
        """204 or 200; the body is ignored (§11, U17). 400 if the path's last part is neither true nor false."""
        grant = parts["grant"].lower()
        if grant not in {"true", "false"}:
            raise bad_request("grantAccess must be true or false.")
        self._world.assign_placement(parts["id"], parts["placement"], grants_access=grant == "true")
        return nothing(self._switches.done_status)

    def _full_row(self, user: User) -> dict[str, Any]:
        return serializers.shown_row(user, self._switches)

    def _page(self, found: list[_Kept], parts: _Parts, row: Callable[[_Kept], dict[str, Any]]) -> Answer:
        """One page of a search, or all rows of an unpaged one; 204 if it is empty (§8.6), 400 above the cap (U1)."""
        found = self._world.in_search_order(found)
        if "page" in parts:
            page, size = parts["page"], parts["size"]
            if page < 1 or size < 1:
                raise bad_request("Page numbers and page sizes start at 1.")
            most = min(size, self._switches.page_cap)
            if size > most and self._switches.over_cap == OverCap.REFUSE:
                raise bad_request(f"A page has at most {most} rows.")
            begin = (page - 1) * (size if self._switches.over_cap == OverCap.CUT else most)
            found = found[begin : begin + most]
        rows = [serializers.searched(row(one), self._switches.misid_form) for one in found]
        return json_answer(rows) if rows else nothing()

    def search_places(self, places: Places, parts: _Parts, body: Body) -> Answer:
        """ID, Name and MISID of classrooms or placements (§9, §10)."""
        return self._page(places.search(body.fields(PLACE_FILTERS)), parts, serializers.place_row)

    def get_place(self, places: Places, parts: _Parts, _body: Body) -> Answer:
        """Everything about one classroom or placement (§9, §10)."""
        return json_answer(serializers.full_place_row(places.get(parts["id"]), places.table, self._switches))

    def create_place(self, places: Places, _parts: _Parts, body: Body) -> Answer:
        """The new id, as a bare integer (§9, §10)."""
        return json_answer(places.create(body.fields(places.table)).id)

    def update_place(self, places: Places, parts: _Parts, body: Body) -> Answer:
        """204 (§9, §10)."""
        places.update(parts["id"], body.fields(places.table))
        return nothing()


def _classrooms(act: Callable[[Endpoints, Places, _Parts, Body], Answer]) -> _Endpoint:
    return lambda endpoints, parts, body: act(endpoints, endpoints._world.classrooms, parts, body)  # noqa: SLF001


def _placements(act: Callable[[Endpoints, Places, _Parts, Body], Answer]) -> _Endpoint:
    return lambda endpoints, parts, body: act(endpoints, endpoints._world.placements, parts, body)  # noqa: SLF001


_ID = r"/(?P<id>\d{1,18})"
_GRANT = r"/AssignPlacement/(?P<placement>\d{1,18})/(?P<grant>[^/]+)"
_SEARCH = r"/Search(?:/(?P<page>\d{1,9})/(?P<size>\d{1,9}))?"


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(path, re.IGNORECASE | re.ASCII)


_ENDPOINTS: Final[tuple[tuple[str, re.Pattern[str], _Endpoint], ...]] = (
    ("GET", _pattern("/Customer"), Endpoints.customer),
    ("POST", _pattern("/Organisation" + _SEARCH), Endpoints.search_organisations),
    ("GET", _pattern("/Organisation" + _ID), Endpoints.get_organisation),
    ("GET", _pattern("/Organisation" + _ID + "/LearnerStatuses"), Endpoints.learner_statuses),
    ("POST", _pattern("/User" + _SEARCH), Endpoints.search_users),
    ("POST", _pattern("/User"), Endpoints.create_user),
    ("POST", _pattern("/User" + _ID), Endpoints.update_user),
    ("GET", _pattern("/User" + _ID), Endpoints.get_user),
    ("POST", _pattern("/User" + _ID + "/Archive"), Endpoints.archive_user),
    ("POST", _pattern("/User" + _ID + "/Unarchive"), Endpoints.unarchive_user),
    ("POST", _pattern("/User" + _ID + "/Assign"), Endpoints.assign),
    ("POST", _pattern("/User" + _ID + _GRANT), Endpoints.assign_placement),
    ("POST", _pattern("/Classroom" + _SEARCH), _classrooms(Endpoints.search_places)),
    ("POST", _pattern("/Classroom"), _classrooms(Endpoints.create_place)),
    ("POST", _pattern("/Classroom" + _ID), _classrooms(Endpoints.update_place)),
    ("GET", _pattern("/Classroom" + _ID), _classrooms(Endpoints.get_place)),
    ("POST", _pattern("/Placement" + _SEARCH), _placements(Endpoints.search_places)),
    ("POST", _pattern("/Placement"), _placements(Endpoints.create_place)),
    ("POST", _pattern("/Placement" + _ID), _placements(Endpoints.update_place)),
    ("GET", _pattern("/Placement" + _ID), _placements(Endpoints.get_place)),
)

"""Classrooms and placements, which behave alike: sections 9 and 10.

Neither Name nor MISID is unique (§16 says so of users; no evidence differs here). An archived classroom or an inactive
placement can be found, read and changed like any other, and users stay in it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from syncd.simulator.errors import ApiError
from syncd.simulator.field_rules import PLACE_FILTERS, Rule, read, require, settable, updated
from syncd.simulator.models import Place
from syncd.simulator.organisations import Organisations
from syncd.simulator.search_filters import fits_misid
from syncd.simulator.switches import Switches

_FIRST_ID = 15_001


class Places:
    """All classrooms, or all placements, by id.

    Args:
        kind: the resource's name, for messages.
        table: the fields.
        organisations: the organisations that may have places.
        clock: returns the time in seconds.
        switches: the behaviour that the fact sheet leaves open.
    """

    def __init__(
        self,
        kind: str,
        table: Mapping[str, Rule],
        organisations: Organisations,
        clock: Callable[[], float],
        switches: Switches,
    ) -> None:
        self.table = table
        self.by_id: dict[int, Place] = {}
        self._kind = kind
        self._organisations = organisations
        self._clock = clock
        self._switches = switches

    @property
    def free_id(self) -> int:
        """An unused id."""
        return max(self.by_id, default=_FIRST_ID - 1) + 1

    def get(self, number: int) -> Place:
        """Returns the place of that id; 404 or 400 if there is none (U15)."""
        if number not in self.by_id:
            raise ApiError(self._switches.unknown_id_status, f"{self._kind} {number} does not exist.")
        return self.by_id[number]

    def is_in(self, number: int, organisation_id: int) -> bool:
        """Whether that organisation has a place of that id."""
        return number in self.by_id and self.by_id[number].organisation_id == organisation_id

    def create(self, fields: Mapping[str, Any]) -> Place:
        """Creates a place.

        Raises:
            ApiError: 400 for a missing name, unknown fields or wrong types; 403 for another customer's organisation.
        """
        sent = read(fields, self.table, self._switches)
        organisation = self._organisations.named_in(sent.values)
        require(sent, self.table)
        place = Place(self.free_id, organisation.id, self._clock(), settable(sent, self.table))
        self.by_id[place.id] = place
        return place

    def update(self, number: int, fields: Mapping[str, Any]) -> Place:
        """Changes the given fields, but not the organisation. Raises as `get`, `create` and `updated` do."""
        place = self.get(number)
        place.values = updated(place.values, read(fields, self.table, self._switches), self.table, self._switches)
        return place

    def search(self, filters: Mapping[str, Any]) -> list[Place]:
        """Returns the places of one or all organisations, by Name and MISID if given; the lowest id first (U3).

        Places younger than the search lag are not found yet.

        Raises:
            ApiError: 400 for an unknown filter, 403 for another customer's organisation.
        """
        wanted = read(filters, PLACE_FILTERS, self._switches).values
        organisation_id = wanted.pop("OrganisationID", None)
        if organisation_id is not None:
            self._organisations.get(organisation_id)
        newest = self._clock() - self._switches.search_lag_seconds
        return [
            place
            for _, place in sorted(self.by_id.items())
            if place.created_at <= newest
            and organisation_id in {None, place.organisation_id}
            and ("Name" not in wanted or place.name == wanted["Name"])
            and ("MISID" not in wanted or fits_misid(place.misid or "", wanted["MISID"], self._switches.misid_filter))
        ]

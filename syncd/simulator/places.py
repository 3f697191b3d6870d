"""Classrooms and placements, which behave alike: sections 9 and 10."""

from collections.abc import Mapping
from typing import Any

from syncd.simulator.organisations import Organisations
from syncd.simulator.refusal import Refusal
from syncd.simulator.residents import Place
from syncd.simulator.rules import PLACE_FILTERS, Rule, read, require, settable
from syncd.simulator.switches import Switches

_FIRST_ID = 15_001


class Places:
    """All classrooms, or all placements, by id.

    Args:
        kind: the resource's name, for messages.
        table: which fields there are.
        organisations: where they may be.
        switches: how to behave where the fact sheet leaves it open.
    """

    def __init__(self, kind: str, table: Mapping[str, Rule], organisations: Organisations, switches: Switches) -> None:
        self.table = table
        self.by_id: dict[int, Place] = {}
        self._kind = kind
        self._organisations = organisations
        self._switches = switches

    @property
    def free_id(self) -> int:
        """An id that none has had."""
        return max(self.by_id, default=_FIRST_ID - 1) + 1

    def get(self, number: int) -> Place:
        """The place of that id; 404 or 400 if there is none (U15)."""
        if number not in self.by_id:
            raise Refusal(self._switches.unknown_id_status, f"{self._kind} {number} does not exist.")
        return self.by_id[number]

    def is_in(self, number: int, organisation_id: int) -> bool:
        """Whether that organisation has a place of that id."""
        return number in self.by_id and self.by_id[number].organisation_id == organisation_id

    def create(self, fields: Mapping[str, Any]) -> Place:
        """Makes a place.

        Raises:
            Refusal: 400 without a name, and for unknown fields or wrong types; 403 for someone else's organisation.
        """
        sent = read(fields, self.table, self._switches)
        organisation = self._organisations.named_in(sent.values)
        require(sent, self.table)
        place = Place(self.free_id, organisation.id, settable(sent, self.table))
        self.by_id[place.id] = place
        return place

    def update(self, number: int, fields: Mapping[str, Any]) -> Place:
        """Changes the fields that are given; its organisation stays. Refuses as `get` and `create` do."""
        place = self.get(number)
        place.values = place.values | settable(read(fields, self.table, self._switches), self.table)
        return place

    def search(self, filters: Mapping[str, Any]) -> list[Place]:
        """The places of an organisation, or of all, by Name and MISID if given; the lowest id first (U3).

        Raises:
            Refusal: 400 for an unknown filter, 403 for someone else's organisation.
        """
        wanted = read(filters, PLACE_FILTERS, self._switches).values
        organisation_id = wanted.pop("OrganisationID", None)
        if organisation_id is not None:
            self._organisations.get(organisation_id)
        return [
            place
            for _, place in sorted(self.by_id.items())
            if organisation_id in {None, place.organisation_id}
            and all(place.values.get(name) == value for name, value in wanted.items())
        ]

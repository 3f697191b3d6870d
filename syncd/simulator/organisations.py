"""The customer's organisations: section 7."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from syncd.simulator.errors import ApiError, bad_request
from syncd.simulator.field_rules import ORGANISATION_FILTERS, read
from syncd.simulator.models import Organisation
from syncd.simulator.switches import Switches


class Organisations:
    """One customer's organisations, by id.

    Args:
        customer_id, customer_name: what ``GET /Customer`` returns (§6).
        switches: the behaviour that the fact sheet leaves open.
    """

    def __init__(self, customer_id: int, customer_name: str, switches: Switches) -> None:
        self.customer_id = customer_id
        self.customer_name = customer_name
        self.by_id: dict[int, Organisation] = {}
        self._switches = switches

    def get(self, number: int) -> Organisation:
        """Returns the organisation of that id.

        Raises:
            ApiError: 403 if this customer has no such organisation (§14).
        """
        if number not in self.by_id:
            raise ApiError(HTTPStatus.FORBIDDEN, f"Organisation {number} is not of this customer.")
        return self.by_id[number]

    def named_in(self, values: Mapping[str, Any]) -> Organisation:
        """Returns the organisation that a create names; 400 if it names none, 403 as for `get`."""
        if "OrganisationID" not in values:
            raise bad_request("OrganisationID must be given.")
        return self.get(values["OrganisationID"])

    def search(self, filters: Mapping[str, Any]) -> list[Organisation]:
        """Returns all organisations, the lowest id first; 403 if the filter names another customer."""
        wanted = read(filters, ORGANISATION_FILTERS, self._switches).values
        if wanted.get("CustomerID", self.customer_id) != self.customer_id:
            raise ApiError(HTTPStatus.FORBIDDEN, f"Customer {wanted['CustomerID']} is not this customer.")
        return [organisation for _, organisation in sorted(self.by_id.items())]

"""The simulated OneFile itself: what it holds and the rules by which that changes. No network, no files.

A world is changed by one thread at a time; the server sees to that for calls over the network.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from syncd.simulator import strictness
from syncd.simulator.matching import fits
from syncd.simulator.organisations import Organisations
from syncd.simulator.places import Places
from syncd.simulator.refusal import Refusal, bad_request
from syncd.simulator.residents import Email, User
from syncd.simulator.rules import (
    ASSESSOR,
    CLASSROOM_FIELDS,
    EMPLOYER,
    LEARNER,
    PLACEMENT_FIELDS,
    TRAINEE_ASSESSOR,
    USER_FIELDS,
    USER_FILTERS,
    read,
    require,
    role_in,
    settable,
)
from syncd.simulator.switches import MisidFilter, Switches

_Row = TypeVar("_Row")
_FIRST_USER_ID = 300_001


class World:
    """One customer with its organisations, users, classrooms and placements.

    Every operation takes fields as a request's body holds them, names in any case, and either does the whole of
    what it is asked or raises `Refusal` and changes nothing.

    Args:
        clock: gives the time in seconds since 1970.
        switches: how to behave where the fact sheet leaves it open.
        customer_id, customer_name: what ``GET /Customer`` tells (§6).
    """

    def __init__(
        self,
        clock: Callable[[], float],
        switches: Switches | None = None,
        customer_id: int = 2070,
        customer_name: str = "Example Beta Customer",
    ) -> None:
        self.switches = switches or Switches()
        self.clock = clock
        self.organisations = Organisations(customer_id, customer_name, self.switches)
        self.classrooms = Places("Classroom", CLASSROOM_FIELDS, self.organisations, self.switches)
        self.placements = Places("Placement", PLACEMENT_FIELDS, self.organisations, self.switches)
        self.users: dict[int, User] = {}
        self.emails: list[Email] = []
        """What OneFile would have sent, in order."""
        self._order = random.Random(self.switches.shuffle_seed)  # noqa: S311 - chance that can be repeated

    @property
    def free_user_id(self) -> int:
        """An id that no user has had."""
        return max(self.users, default=_FIRST_USER_ID - 1) + 1

    def user(self, number: int) -> User:
        """The user of that id, archived or not (§8.5); 404 or 400 if there is none (U15)."""
        if number not in self.users:
            raise Refusal(self.switches.unknown_id_status, f"User {number} does not exist.")
        return self.users[number]

    def users_with_misid(self, misid: str) -> list[User]:
        """Every user, archived or not, with exactly this MISID, of which there may be several (§16)."""
        return [user for user in list(self.users.values()) if user.misid == misid]

    def create_user(self, fields: Mapping[str, Any]) -> User:
        """Makes an account (§8.2, §8.3); where the organisation creates Keychains an e-mail goes out.

        Raises:
            Refusal: 400 for a role the API does not have, for fields missing, unknown or of the wrong type, and
                for ids of nobody in the same organisation; 403 for an organisation of someone else's.
        """
        role = role_in(fields)
        sent = read(fields, USER_FIELDS, self.switches, role)
        organisation = self.organisations.named_in(sent.values)
        require(sent, USER_FIELDS, role)
        values = settable(sent, USER_FIELDS)
        self._check(values, organisation.id)
        number = self.free_user_id
        username = values.pop("Username", None) or username_for(values, number)
        now = self.clock()
        user = User(number, organisation.id, role, username, created_at=now, modified_at=now, values=values)
        self.users[number] = user
        if organisation.creates_keychains:
            self.emails.append(Email(number, values["Email"]))
        return user

    def update_user(self, number: int, fields: Mapping[str, Any]) -> User:
        """Changes the fields that are given (§8.4); ID, OrganisationID and Role are ignored (U22).

        Raises:
            Refusal: 404 for an unknown user; 400 for an archived learner (U21) and for what a create refuses.
        """
        user = self.user(number)
        if user.is_archived and user.role == LEARNER and self.switches.archived_learners_read_only:
            raise bad_request(f"User {number} is archived.")
        sent = read(fields, USER_FIELDS, self.switches, user.role)
        values = settable(sent, USER_FIELDS)
        self._check(values, user.organisation_id, besides=number)
        cleared = sent.cleared if self.switches.clearing else frozenset()
        for name in sorted(cleared):
            if user.role in USER_FIELDS[name].mandatory:
                raise bad_request(f"{name} must not be empty.")
        user.username = values.pop("Username", user.username)
        user.values = {name: value for name, value in user.values.items() if name not in cleared} | values
        user.modified_at = self.clock()
        return user

    def search_users(self, filters: Mapping[str, Any]) -> list[User]:
        """The users that every filter lets through (`matching.fits`), the lowest id first (U3).

        Without OrganisationID it looks through the whole customer (§8.6), and a filter that is null or ``""`` is
        none. Users younger than the search lag are not found yet.

        Raises:
            Refusal: 400 for a filter or role that does not exist, 403 for an organisation of someone else's.
        """
        wanted = read(filters, USER_FILTERS, self.switches).values
        if "OrganisationID" in wanted:
            self.organisations.get(wanted["OrganisationID"])
        if "Role" in wanted:
            role_in(wanted)
        newest = self.clock() - self.switches.search_lag_seconds
        candidates: Iterable[User] = self.users.values()
        if "MISID" in wanted and self.switches.misid_filter == MisidFilter.EXACT:
            # The commonest search by far; asking every user every question would make large worlds slow.
            candidates = self.users_with_misid(wanted["MISID"])
        found = [user for user in candidates if user.created_at <= newest and fits(user, wanted, self.switches)]
        return sorted(found, key=lambda user: user.id)

    def in_search_order(self, rows: list[_Row]) -> list[_Row]:
        """Chaos for those who trust the order of rows: shuffled, if switched on (U3)."""
        return self._order.sample(rows, len(rows)) if self.switches.shuffle else rows

    def archive_user(self, number: int) -> User:
        """Archives a user (§8.7).

        Raises:
            Refusal: 404 for an unknown user; 400 for staff who are an active user's default assessor (U20), and
                for the archived, if switched on (U19).
        """
        user = self.user(number)
        if not user.is_archived:
            for learner in self.users.values():
                if learner.values.get("DefaultAssessorID") == number and not learner.is_archived:
                    raise bad_request(f"User {number} is the default assessor of user {learner.id}.")
        return self._set_archived(user, is_archived=True)

    def unarchive_user(self, number: int) -> User:
        """Makes an archived user active again (§8.7); 404 for an unknown one, 400 for the active as in U19."""
        return self._set_archived(self.user(number), is_archived=False)

    def _set_archived(self, user: User, *, is_archived: bool) -> User:
        if user.is_archived != is_archived:
            user.is_archived = is_archived
            user.modified_at = self.clock()
        elif self.switches.refuse_repeated_archiving:
            raise bad_request(f"User {user.id} is {'archived' if is_archived else 'active'} already.")
        return user

    def _check(self, values: Mapping[str, Any], organisation_id: int, besides: int | None = None) -> None:
        self._check_person(values, "DefaultAssessorID", organisation_id, {ASSESSOR, TRAINEE_ASSESSOR})
        self._check_person(values, "DefaultEmployerID", organisation_id, {EMPLOYER})
        for name, places in (("ClassroomID", self.classrooms), ("PlacementID", self.placements)):
            if name in values and not places.is_in(values[name], organisation_id):
                raise bad_request(f"{name} {values[name]} does not exist in this organisation.")
        if self.switches.strict:
            strictness.check(values)
        if self.switches.refuse_duplicate_misid and "MISID" in values:
            for other in self.users_with_misid(values["MISID"]):
                if other.organisation_id == organisation_id and other.id != besides:
                    raise bad_request(f"MISID {values['MISID']} is in use.")

    def _check_person(self, values: Mapping[str, Any], name: str, organisation_id: int, roles: set[int]) -> None:
        if name not in values:
            return
        person = self.users.get(values[name])
        if person is None or person.organisation_id != organisation_id:
            raise bad_request(f"{name} {values[name]} does not exist in this organisation.")
        # Archiving takes a user's role away (§8.1), and with it what the role is for.
        if person.role not in roles or person.is_archived:
            raise bad_request(f"{name} {values[name]} is not an active user of the right role.")


def username_for(values: Mapping[str, Any], number: int) -> str:
    """The username that OneFile makes up: initial and surname, usually with a number (§16)."""
    name = f"{values.get('FirstName', '')!s:.1}{values.get('LastName', '')}"
    return "".join(letter for letter in name.lower() if letter.isalnum()) + str(number)

"""The simulated OneFile itself: its data and the rules that change it. No network, no files.

Only one thread at a time may change a world; the server ensures this for calls over the network.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, TypeVar

from syncd.simulator import validation
from syncd.simulator.errors import ApiError, bad_request
from syncd.simulator.field_rules import (
    ASSESSOR,
    ASSIGN_FIELDS,
    ASSIGNEES,
    CLASSROOM_FIELDS,
    EMPLOYER,
    LEARNER,
    PLACEMENT_FIELDS,
    TRAINEE_ASSESSOR,
    USER_FIELDS,
    USER_FILTERS,
    level_in,
    read,
    require,
    role_in,
    settable,
    updated,
)
from syncd.simulator.models import Assignment, Email, User
from syncd.simulator.organisations import Organisations
from syncd.simulator.places import Places
from syncd.simulator.search_filters import fits
from syncd.simulator.switches import MisidFilter, NameFilter, Switches

_Row = TypeVar("_Row")
_FIRST_USER_ID = 300_001


class World:
    """One customer with its organisations, users, classrooms and placements.

    Every operation takes fields as in a request's body, names in any case, and either succeeds completely or raises
    `ApiError` and changes nothing.

    Args:
        clock: returns the time in seconds since 1970.
        switches: the behaviour that the fact sheet leaves open.
        customer_id, customer_name: what ``GET /Customer`` returns (§6).
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
        self.classrooms = Places("Classroom", CLASSROOM_FIELDS, self.organisations, clock, self.switches)
        self.placements = Places("Placement", PLACEMENT_FIELDS, self.organisations, clock, self.switches)
        self.users: dict[int, User] = {}
        self.assignments: set[Assignment] = set()
        """The users assigned to learners; the API has no call that returns or ends an assignment (§11)."""
        self.placement_access: dict[tuple[int, int], bool] = {}
        """By the ids of an employer and a placement, what their last AssignPlacement granted (§11)."""
        self.emails: list[Email] = []
        """The e-mails that OneFile would have sent, in order."""
        self._order = random.Random(self.switches.shuffle_seed)  # noqa: S311 - repeatable

    @property
    def free_user_id(self) -> int:
        """An unused id."""
        return max(self.users, default=_FIRST_USER_ID - 1) + 1

    def user(self, number: int) -> User:
        """Returns the user of that id, archived or not (§8.5); 404 or 400 if there is none (U15)."""
        if number not in self.users:
            raise ApiError(self.switches.unknown_id_status, f"User {number} does not exist.")
        return self.users[number]

    def users_with_misid(self, misid: str) -> list[User]:
        """Returns every user, archived or not, with exactly this MISID; there may be several (§16)."""
        return [user for user in list(self.users.values()) if user.misid == misid]

    def create_user(self, fields: Mapping[str, Any]) -> User:
        """Creates an account (§8.2, §8.3); sends an e-mail if the organisation creates Keychains.

        Raises:
            ApiError: 400 for an unknown role, for fields missing, unknown or of the wrong type, and for ids that do
                not exist in the same organisation; 403 for another customer's organisation.
        """
        role = role_in(fields)
        sent = read(fields, USER_FIELDS, self.switches, role)
        organisation = self.organisations.named_in(sent.values)
        require(sent, USER_FIELDS, role)
        values = settable(sent, USER_FIELDS)
        self._check(values, organisation.id)
        self._check_seats(role, values, organisation.id)
        number = self.free_user_id
        username = values.pop("Username", None) or username_for(values, number)
        now = self.clock()
        user = User(number, organisation.id, role, username, created_at=now, modified_at=now, values=values)
        self.users[number] = user
        if organisation.creates_keychains:
            self.emails.append(Email(number, values["Email"]))
        return user

    def update_user(self, number: int, fields: Mapping[str, Any]) -> User:
        """Changes the given fields (§8.4); ID, OrganisationID and Role are ignored (U22).

        Raises:
            ApiError: 404 for an unknown user; 400, or as switched, for an archived learner (U21); 400 for what a
                create refuses.
        """
        user = self.user(number)
        if user.is_archived and user.role == LEARNER and self.switches.archived_learners_read_only:
            raise ApiError(self.switches.archived_update_status, f"User {number} is archived.")
        sent = read(fields, USER_FIELDS, self.switches, user.role)
        self._check(settable(sent, USER_FIELDS), user.organisation_id, number)
        values = updated(user.values, sent, USER_FIELDS, self.switches, user.role)
        user.username = values.pop("Username", user.username)
        user.values = values
        user.modified_at = self.clock()
        return user

    def search_users(self, filters: Mapping[str, Any]) -> list[User]:
        """Returns the users that pass every filter (`search_filters.fits`), the lowest id first (U3).

        Without OrganisationID it searches the whole customer (§8.6); a filter that is null or ``""`` is ignored.
        Users younger than the search lag are not found yet.

        Raises:
            ApiError: 400 for a filter or role that does not exist, 403 for another customer's organisation.
        """
        known = USER_FILTERS
        if self.switches.name_filter == NameFilter.REFUSED:
            known = {name: rule for name, rule in known.items() if name not in {"FirstName", "LastName"}}
        wanted = read(filters, known, self.switches).values
        if "OrganisationID" in wanted:
            self.organisations.get(wanted["OrganisationID"])
        if "Role" in wanted:
            role_in(wanted)
        newest = self.clock() - self.switches.search_lag_seconds
        candidates: Iterable[User] = self.users.values()
        if "MISID" in wanted and self.switches.misid_filter == MisidFilter.EXACT:
            # By far the most common search; checking every filter of every user would make large worlds slow.
            candidates = self.users_with_misid(wanted["MISID"])
        found = [user for user in candidates if user.created_at <= newest and fits(user, wanted, self.switches)]
        return sorted(found, key=lambda user: user.id)

    def in_search_order(self, rows: list[_Row]) -> list[_Row]:
        """Returns the rows, shuffled if switched on (U3), for clients that rely on their order."""
        return self._order.sample(rows, len(rows)) if self.switches.shuffle else rows

    def archive_user(self, number: int) -> User:
        """Archives a user (§8.7).

        Raises:
            ApiError: 404 for an unknown user; 400 for the default assessor of an active user (U20), and for an
                archived user, if switched on (U19).
        """
        user = self.user(number)
        if not user.is_archived:
            for learner in self.users.values():
                if learner.values.get("DefaultAssessorID") == number and not learner.is_archived:
                    raise bad_request(f"User {number} is the default assessor of user {learner.id}.")
        return self._set_archived(user, is_archived=True)

    def unarchive_user(self, number: int) -> User:
        """Unarchives a user (§8.7); 404 for an unknown user, 400 for an active one if switched on (U19)."""
        return self._set_archived(self.user(number), is_archived=False)

    def assign(self, number: int, fields: Mapping[str, Any]) -> None:
        """Assigns a user to a learner (§11); U18 defines which of the two is in the path. Idempotent.

        The simulator has no units and standards, so their ids are not checked.

        Raises:
            ApiError: 404 for an unknown user in the path; 400 for unknown or missing fields of the level, and unless
                the two are an active learner and an active user whose role the level allows, of one organisation.
        """
        organisation_id = self.user(number).organisation_id
        level = level_in(fields)
        sent = read(fields, ASSIGN_FIELDS[level], self.switches)
        require(sent, ASSIGN_FIELDS[level])
        values = sent.values
        people = [("User", number), ("LearnerID", values["LearnerID"])]
        if self.switches.learner_in_assign_path:
            people.reverse()
        assignee = self._person(*people[0], organisation_id, ASSIGNEES[level])
        learner = self._person(*people[1], organisation_id, {LEARNER})
        assignment = Assignment(assignee.id, learner.id, level, values.get("UnitID"), values.get("StandardID"))
        if assignment not in self.assignments:
            self.assignments.add(assignment)
            assignee.modified_at = learner.modified_at = self.clock()

    def assign_placement(self, number: int, placement_id: int, *, grants_access: bool) -> None:
        """Assigns an employer to a placement (§11), and leaves PlacementID unchanged. The last call counts.

        The call is known only for employers, so observers, who also have a PlacementID, are refused.

        Raises:
            ApiError: 404 for an unknown user or placement; 400 for a user who is not an active employer, and for a
                placement of another organisation.
        """
        user = self.user(number)
        self._person("User", number, user.organisation_id, {EMPLOYER})
        placement = self.placements.get(placement_id)
        if placement.organisation_id != user.organisation_id:
            raise bad_request(f"Placement {placement_id} does not exist in this organisation.")
        if self.placement_access.get((number, placement_id)) != grants_access:
            self.placement_access[number, placement_id] = grants_access
            user.modified_at = self.clock()

    def _set_archived(self, user: User, *, is_archived: bool) -> User:
        if user.is_archived != is_archived:
            user.is_archived = is_archived
            user.modified_at = self.clock()
        elif self.switches.refuse_repeated_archiving:
            raise bad_request(f"User {user.id} is {'archived' if is_archived else 'active'} already.")
        return user

    def _check(self, values: Mapping[str, Any], organisation_id: int, number: int | None = None) -> None:
        self._check_references(values, organisation_id)
        if self.switches.employer_must_be_assigned and "DefaultEmployerID" in values:
            employer_id = values["DefaultEmployerID"]
            if number is None or Assignment(employer_id, number, level=1) not in self.assignments:
                raise bad_request(f"DefaultEmployerID {employer_id} is not assigned to this learner.")
        if self.switches.strict:
            validation.check(values)
        if self.switches.refuse_duplicate_misid and "MISID" in values:
            for other in self.users_with_misid(values["MISID"]):
                if other.organisation_id == organisation_id and other.id != number:
                    raise bad_request(f"MISID {values['MISID']} is in use.")

    def _check_seats(self, role: int, values: Mapping[str, Any], organisation_id: int) -> None:
        seats = self.switches.seats
        if not seats or role != LEARNER:
            return
        taken = sum(
            user.role == LEARNER and user.organisation_id == organisation_id and not user.is_archived
            for user in list(self.users.values())
        )
        if taken >= seats:
            name = f"{values['FirstName']} {values['LastName']}"
            raise bad_request(f"There is no seat for {name}: all {seats} of the organisation are in use.")

    def _check_references(self, values: Mapping[str, Any], organisation_id: int) -> None:
        for name, roles in (("DefaultAssessorID", {ASSESSOR, TRAINEE_ASSESSOR}), ("DefaultEmployerID", {EMPLOYER})):
            if name in values:
                self._person(name, values[name], organisation_id, roles)
        for name, places in (("ClassroomID", self.classrooms), ("PlacementID", self.placements)):
            if name in values and not places.is_in(values[name], organisation_id):
                raise bad_request(f"{name} {values[name]} does not exist in this organisation.")
        # 0 means no status (§17.10). If an organisation has no statuses, any other id is invalid: §8.2 checks ids.
        status_id = values.get("LearnerStatusID", 0)
        if status_id != 0 and status_id not in self.organisations.get(organisation_id).learner_statuses:
            raise bad_request(f"LearnerStatusID {status_id} does not exist in this organisation.")

    def _person(self, name: str, number: int, organisation_id: int, roles: Set[int]) -> User:
        person = self.users.get(number)
        if person is None or person.organisation_id != organisation_id:
            raise bad_request(f"{name} {number} does not exist in this organisation.")
        # An archived user loses the role (§8.1), and cannot be used for what needs that role.
        if person.role not in roles or person.is_archived:
            raise bad_request(f"{name} {number} is not an active user of the right role.")
        return person


def username_for(values: Mapping[str, Any], number: int) -> str:
    """Returns the username that OneFile generates: initial and surname, usually with a number (§16)."""
    name = f"{values.get('FirstName', '')!s:.1}{values.get('LastName', '')}"
    return "".join(letter for letter in name.lower() if letter.isalnum()) + str(number)

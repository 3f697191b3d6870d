"""The simulated OneFile itself: what it holds and the rules by which that changes. No network, no files.

A world is changed by one thread at a time; the server sees to that for calls over the network.
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
        self.classrooms = Places("Classroom", CLASSROOM_FIELDS, self.organisations, clock, self.switches)
        self.placements = Places("Placement", PLACEMENT_FIELDS, self.organisations, clock, self.switches)
        self.users: dict[int, User] = {}
        self.assignments: set[Assignment] = set()
        """Who works with which learner; the API has no call that tells or ends it (§11)."""
        self.placement_access: dict[tuple[int, int], bool] = {}
        """By an employer's id and a placement's, what the last AssignPlacement of the two granted (§11)."""
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
            raise ApiError(self.switches.unknown_id_status, f"User {number} does not exist.")
        return self.users[number]

    def users_with_misid(self, misid: str) -> list[User]:
        """Every user, archived or not, with exactly this MISID, of which there may be several (§16)."""
        return [user for user in list(self.users.values()) if user.misid == misid]

    def create_user(self, fields: Mapping[str, Any]) -> User:
        """Makes an account (§8.2, §8.3); where the organisation creates Keychains an e-mail goes out.

        Raises:
            Refusal: 400 for a role the API does not have, for fields missing, unknown or of the wrong type, and
                for ids of nothing in the same organisation; 403 for an organisation of someone else's.
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
        self._check(settable(sent, USER_FIELDS), user.organisation_id, number)
        values = updated(user.values, sent, USER_FIELDS, self.switches, user.role)
        user.username = values.pop("Username", user.username)
        user.values = values
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

    def assign(self, number: int, fields: Mapping[str, Any]) -> None:
        """Has somebody work with a learner (§11); U18 says which of the two is in the path. Twice is as good as once.

        There are no units and standards here, so the ids of those are taken on trust.

        Raises:
            Refusal: 404 for an unknown user in the path; 400 for fields that the level does not have or lacks, and
                for two who are not an active learner and an active user whom the level is for, of one organisation.
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
        """Ties an employer to a placement (§11), beside the PlacementID, which stays. The last call counts.

        Of nobody but employers has this call been seen, so observers, who have a PlacementID too, are refused.

        Raises:
            Refusal: 404 for an unknown user or placement; 400 for a user who is no active employer, and for a
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

    def _check_references(self, values: Mapping[str, Any], organisation_id: int) -> None:
        for name, roles in (("DefaultAssessorID", {ASSESSOR, TRAINEE_ASSESSOR}), ("DefaultEmployerID", {EMPLOYER})):
            if name in values:
                self._person(name, values[name], organisation_id, roles)
        for name, places in (("ClassroomID", self.classrooms), ("PlacementID", self.placements)):
            if name in values and not places.is_in(values[name], organisation_id):
                raise bad_request(f"{name} {values[name]} does not exist in this organisation.")
        # 0 is none (§17.10). Without a list there is no other: §8.2 has ids checked, and then any could only be wrong.
        status_id = values.get("LearnerStatusID", 0)
        if status_id != 0 and status_id not in self.organisations.get(organisation_id).learner_statuses:
            raise bad_request(f"LearnerStatusID {status_id} does not exist in this organisation.")

    def _person(self, name: str, number: int, organisation_id: int, roles: Set[int]) -> User:
        person = self.users.get(number)
        if person is None or person.organisation_id != organisation_id:
            raise bad_request(f"{name} {number} does not exist in this organisation.")
        # Archiving takes a user's role away (§8.1), and with it what the role is for.
        if person.role not in roles or person.is_archived:
            raise bad_request(f"{name} {number} is not an active user of the right role.")
        return person


def username_for(values: Mapping[str, Any], number: int) -> str:
    """The username that OneFile makes up: initial and surname, usually with a number (§16)."""
    name = f"{values.get('FirstName', '')!s:.1}{values.get('LastName', '')}"
    return "".join(letter for letter in name.lower() if letter.isalnum()) + str(number)

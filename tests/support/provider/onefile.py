"""OneFile's stand-in with a college's staff, classes and placements in it, and what tests ask of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from syncd.simulator import Simulator, Switches
from syncd.simulator.journal import Call
from syncd.simulator.models import User
from syncd.simulator.switches import LimiterShape

from .mis import FALLBACK_PLACEMENT, College

_ORGANISATION: Final = 5740
_LEARNER: Final = 1
_ASSESSOR: Final = 5


class OneFile:
    """A running simulator that knows the college."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._world = simulator.world
        self.organisation_id = _ORGANISATION
        self.base_url = simulator.base_url
        self.customer_token = simulator.customer_token

    @property
    def learners(self) -> list[User]:
        """The learners' accounts, the oldest first."""
        return [user for user in list(self._world.users.values()) if user.role == _LEARNER]

    @property
    def misids(self) -> list[str | None]:
        """The learners' MISIDs, as often as they are there."""
        return [user.misid for user in self.learners]

    def learner(self, misid: str) -> User:
        """The one learner with this MISID."""
        (user,) = (user for user in self.learners if user.misid == misid)
        return user

    def sow(self, *users: dict[str, Any]) -> None:
        """Add users, as if somebody had made them in OneFile by hand."""
        self._simulator.sow({"users": list(users)})

    def lose(self, user: User) -> None:
        """Be without a user until it is put back."""
        self._world.users.pop(user.id)

    def put_back(self, user: User) -> None:
        """Have a lost user again."""
        self._world.users[user.id] = user

    def assessor_id(self, misid: str) -> int:
        """The UserID of the assessor whom the MIS knows by this code."""
        (user,) = (user for user in self._world.users_with_misid(misid) if user.role == _ASSESSOR)
        return user.id

    def classroom_id(self, misid: str) -> int:
        """The id of the class that the MIS knows by this code."""
        (classroom,) = (place for place in self._world.classrooms.by_id.values() if place.misid == misid)
        return classroom.id

    def placement_id(self, name: str) -> int:
        """The id of the placement of this name."""
        (placement,) = (place for place in self._world.placements.by_id.values() if place.name == name)
        return placement.id

    @property
    def calls(self) -> list[Call]:
        """Every call so far."""
        return self._simulator.journal.calls

    @property
    def writes(self) -> list[Call]:
        """The calls so far that asked for a change."""
        return self._simulator.journal.writes

    @contextmanager
    def watched(self) -> Iterator[list[Call]]:
        """Gives a list that at the end holds the calls made meanwhile."""
        before = len(self.calls)
        calls: list[Call] = []
        yield calls
        calls += self.calls[before:]

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Meanwhile values are checked as a OneFile that validates would check them."""
        lenient = self._world.switches
        self._world.switches = replace(lenient, strict=True)
        try:
            yield
        finally:
            self._world.switches = lenient


@contextmanager
def onefile_of(college: College, switches: Switches | None = None) -> Iterator[OneFile]:
    """A OneFile that has the college's staff, classes and placements, and no learner."""
    with Simulator(switches=switches or Switches(limiter=LimiterShape.OFF), seed=_seed(college)) as simulator:
        yield OneFile(simulator)


def _seed(college: College) -> dict[str, list[dict[str, Any]]]:
    here = {"OrganisationID": _ORGANISATION}
    return {
        "organisations": [{"ID": _ORGANISATION, "Name": "Ynys Môn College"}],
        "classrooms": [{**here, "Name": one.name, "MISID": one.code} for one in college.classrooms],
        "placements": [
            *({**here, "Name": name, "MISID": str(emp_id)} for emp_id, name in college.placements.items()),
            {**here, "Name": FALLBACK_PLACEMENT},
        ],
        "users": [
            {
                **here,
                "Role": _ASSESSOR,
                "FirstName": one.first_name,
                "LastName": one.last_name,
                "Email": one.email,
                "MISID": one.code,
            }
            for one in college.assessors
        ],
    }

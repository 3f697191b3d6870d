"""Who stands inside OneFile and sees what is really done, whatever the caller is told."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from syncd.simulator import FaultKind, Simulator
from syncd.simulator.models import User

from .college import Who

_ORGANISATION: Final = 5740


class Did(StrEnum):
    """What was done."""

    CREATE = "create"
    UPDATE = "update"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"


@dataclass(frozen=True, slots=True)
class Deed:
    """One change that OneFile has made."""

    did: Did
    user_id: int
    who: Who

    def __str__(self) -> str:
        return f"{self.did} {self.user_id} ({self.who.role}, {self.who.misid})"


class Witness:
    """Watches one simulator from its start."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.by_hand: set[int] = set()
        """Accounts that a person made in OneFile."""
        self.archived_by_hand: set[int] = set()
        self.deeds: list[Deed] = []
        """What was done since the last run began."""
        self._told: dict[int, dict[str, Any]] = {}
        """By UserID, the values whose yes has certainly reached syncd."""
        world = simulator.world
        world.create_user = self._watched(Did.CREATE, world.create_user)  # type: ignore[method-assign]
        world.update_user = self._watched(Did.UPDATE, world.update_user)  # type: ignore[method-assign]
        world.archive_user = self._watched(Did.ARCHIVE, world.archive_user)  # type: ignore[method-assign]
        world.unarchive_user = self._watched(Did.UNARCHIVE, world.unarchive_user)  # type: ignore[method-assign]
        self._twins: list[Who] = []
        self._forenames: dict[int, set[str]] = {}
        """By UserID, the first names that its account has had since it was made."""

    def accounts_of(self, who: Who) -> list[User]:
        users = self.simulator.world.users_with_misid(who.misid)
        return [user for user in users if user.role == who.role]

    def make_by_hand(self, who: Who, fields: Mapping[str, Any]) -> None:
        before = set(self.simulator.world.users)
        self.simulator.sow({"users": [{"OrganisationID": _ORGANISATION, "Role": who.role, **fields}]})
        self.by_hand |= self.simulator.world.users.keys() - before

    def begin(self) -> None:
        self.deeds.clear()
        self.simulator.journal.clear()

    def done(self, *kinds: Did) -> set[int]:
        """The accounts to which any of this was done since the last run began."""
        return {deed.user_id for deed in self.deeds if deed.did in kinds}

    def moved(self) -> set[int]:
        """The accounts that were sent a MISID since the last run began."""
        updates = (call for call in self.simulator.journal.writes if call.path.startswith("/User/") and call.body)
        return {int(call.path.split("/")[2]) for call in updates if "MISID" in call.body}

    def check_nobody_is_there_twice(self) -> None:
        """P1, by what OneFile holds and by what it was asked to make."""
        assert not self._twins, f"created although OneFile had it: {self._twins}"
        ours = Counter(
            Who(user.role, user.misid)
            for user in self.simulator.world.users.values()
            if user.misid and user.id not in self.by_hand
        )
        assert max(ours.values(), default=0) <= 1, ours

    def check_people(self, accounts_due: Callable[[int, str], int]) -> None:
        """P1, by person: no account is ever two people's, and nobody has more of them than they are due.

        ``accounts_due`` returns how many accounts a person of a role and with a first name may have.
        """
        mixed = {user_id: names for user_id, names in self._forenames.items() if len(names) > 1}
        assert not mixed, f"accounts of several people: {mixed}"
        users = (user for user in self.simulator.world.users.values() if user.id not in self.by_hand)
        active = Counter((user.role, user.values["FirstName"]) for user in users if not user.is_archived)
        over = {who: count for who, count in active.items() if count > accounts_due(*who)}
        assert not over, f"people with too many accounts: {over}"

    def check_calls(self, *, was_cut_short: bool) -> None:
        """P3 and P6, by the calls since the last run began."""
        calls = self.simulator.journal.calls
        returning = {int(call.path.split("/")[2]) for call in calls if call.path.endswith("/Unarchive")}
        made = {deed.who: deed.user_id for deed in self.deeds if deed.did is Did.CREATE}
        for call in calls:
            assert call.status != 429 or call.fault == FaultKind.THROTTLE, "OneFile counted more than 300 in a minute"
            if not call.is_write or call.path.endswith("rchive"):
                continue
            is_yes = call.status is not None and call.status < 300 and call.fault is None
            is_heard = is_yes and not was_cut_short
            if call.path == "/User":
                if is_heard:
                    self._told[made[Who(call.body["Role"], call.body["MISID"])]] = dict(call.body)
                continue
            fields = call.body
            user_id = int(call.path.rpartition("/")[2])
            told = self._told.setdefault(user_id, {})
            again = sorted(name for name, value in fields.items() if told.get(name, ...) == value)
            # An assessor who is brought back in the same run is waited for as one who is created is.
            again = [name for name in again if name != "DefaultAssessorID" or fields[name] not in returning]
            assert not again, f"told OneFile again of {user_id}: {again}"
            if is_heard:
                told |= fields
            elif is_yes or call.fault is not None:
                for name in fields:
                    told.pop(name, None)
        if was_cut_short:
            # Any answer of it may not have been written down, and any log-in that failed may have been for a change.
            self._told.clear()

    def _watched(self, did: Did, act: Callable[..., User]) -> Callable[..., User]:
        def watched(*arguments: Any) -> User:
            if did is Did.CREATE:
                who = Who(arguments[0]["Role"], arguments[0]["MISID"])
                if self.accounts_of(who):
                    self._twins.append(who)
            user = act(*arguments)
            if did is Did.UNARCHIVE:
                self.archived_by_hand.discard(user.id)
            self._forenames.setdefault(user.id, set()).add(user.values["FirstName"])
            self.deeds.append(Deed(did, user.id, Who(user.role, user.misid or "")))
            return user

        return watched

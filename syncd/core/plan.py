"""The plan: what a run would do, as plain data that can be printed, compared, stopped and approved."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from syncd.core.fields import Role
from syncd.core.records import Held, Key, Warned
from syncd.core.values import Sent, Value


@dataclass(frozen=True, slots=True)
class Create:
    """An account OneFile does not have yet."""

    key: Key
    feed: str
    fields: dict[str, Value]
    waits_for: dict[str, Key] = field(default_factory=dict)
    """Id fields whose account is created earlier in the same run."""
    fingerprint: str = ""
    """Of the record; empty when more of it is to be sent afterwards, so that no run takes it for all said."""
    ids: dict[str, int] = field(default_factory=dict)
    """What the record's codes stand for, by field, those left out that are waited for."""
    was: Role | None = None
    """The role of an account with the same MISID whose record is gone: somebody has changed roles."""


@dataclass(frozen=True, slots=True)
class Update:
    """An account that OneFile has, and the fields to change in it."""

    key: Key
    feed: str
    user_id: int | None
    """``None`` where the same run creates the account first."""
    fields: dict[str, Sent]
    waits_for: dict[str, Key] = field(default_factory=dict)
    fingerprint: str = ""
    is_link: bool = False
    """OneFile has the account already and syncd did not know it: it becomes ours by this update."""
    ids: dict[str, int] = field(default_factory=dict)
    assigned: Key | None = None
    """Who must have been assigned to this learner before, for nobody else can be the default employer (§11)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An employer is assigned to their placement, with or without access to all of its learners (§11)."""

    key: Key
    feed: str
    is_open: bool
    fingerprint: str = ""
    ids: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assign:
    """Somebody is assigned to a learner besides the default assessor, at level 1 (§11)."""

    learner: Key
    user: Key
    feed: str


@dataclass(frozen=True, slots=True)
class Rekey:
    """An account whose person has a new MISID in the MIS."""

    old: Key
    key: Key
    """The new one; organisation and role are the same."""
    user_id: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """A record that reads differently but asks nothing of OneFile; only its fingerprint is noted."""

    key: Key
    feed: str
    fingerprint: str
    ids: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Returner:
    """An account whose record is back."""

    key: Key
    user_id: int
    is_archived: bool


@dataclass(frozen=True, slots=True)
class Leaver:
    """An account whose record no feed yields any more."""

    key: Key
    user_id: int | None
    left_at: datetime | None
    """When a run first missed it; ``None`` when it is this one."""
    to_archive: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one run would do, in the order it came to light."""

    creates: Collection[Create] = ()
    updates: Collection[Update] = ()
    refreshes: Collection[Refresh] = ()
    returners: tuple[Returner, ...] = ()
    leavers: tuple[Leaver, ...] = ()
    held: tuple[Held, ...] = ()
    warnings: tuple[Warned, ...] = ()
    unchanged: int = 0
    rekeys: tuple[Rekey, ...] = ()
    grants: Collection[Grant] = ()
    assigns: tuple[Assign, ...] = ()
    defaulted: Mapping[tuple[Role, str], int] = field(default_factory=dict)
    """How many records would be sent with a default for a reference that the MIS does not give, by role and field."""

    @property
    def new_leavers(self) -> tuple[Leaver, ...]:
        """The leavers that no earlier run has seen go."""
        return tuple(leaver for leaver in self.leavers if leaver.left_at is None)

    @property
    def calls(self) -> int:
        """How many calls sending it takes, finding the ids of new accounts not counted."""
        return (
            len(self.creates)
            + len(self.updates)
            + len(self.rekeys)
            + len(self.grants)
            + len(self.assigns)
            + sum(returner.is_archived for returner in self.returners)
            + sum(leaver.to_archive for leaver in self.leavers)
        )

    def seconds(self, calls_per_second: float) -> int:
        """How long those calls take at this pace, rounded up."""
        return ceil(self.calls / calls_per_second)

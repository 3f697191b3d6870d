"""The plan: what a run would do, as plain data that can be printed, compared, stopped and approved."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import TypeAlias

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


@dataclass(frozen=True, slots=True)
class Update:
    """An account that OneFile has, and the fields to change in it."""

    key: Key
    feed: str
    user_id: int
    fields: dict[str, Sent]
    waits_for: dict[str, Key] = field(default_factory=dict)
    fingerprint: str = ""
    is_link: bool = False
    """OneFile has the account already and syncd did not know it: it becomes ours by this update."""


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


Change: TypeAlias = Create | Update | Rekey | Returner | Leaver
"""What takes a call of its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one run would do, in the order it came to light."""

    creates: tuple[Create, ...] = ()
    updates: tuple[Update, ...] = ()
    refreshes: tuple[Refresh, ...] = ()
    returners: tuple[Returner, ...] = ()
    leavers: tuple[Leaver, ...] = ()
    held: tuple[Held, ...] = ()
    warnings: tuple[Warned, ...] = ()
    unchanged: int = 0
    rekeys: tuple[Rekey, ...] = ()

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
            + sum(returner.is_archived for returner in self.returners)
            + sum(leaver.to_archive for leaver in self.leavers)
        )

    def seconds(self, calls_per_second: float) -> int:
        """How long those calls take at this pace, rounded up."""
        return ceil(self.calls / calls_per_second)

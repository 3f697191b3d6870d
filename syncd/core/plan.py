"""The plan: the steps of a run as plain data that can be printed, compared, stopped and approved.

Start to read the core here. A run reads records from the feeds (`records`) and accounts from the state store
(`accounts`). `changed` drops the records that are unchanged. `plan_builder` makes the plan: `compare` decides the steps
of each changed record by the table below, `assignments` those of the assignments feeds. `guard` then decides whether
the plan may be sent without an approval.

=========================================  ==================================  =======================================
Record in the feeds                        Account                             Step
=========================================  ==================================  =======================================
a mandatory value is missing or invalid    any or none                         `Held`
two rows with one MISID in one role        any or none                         `Held`
refused by OneFile, unchanged since        any or none                         `Held`
a mandatory code is not found, is          any or none                         `Held`
ambiguous, or refers to a held record
an optional code is, and does, so          any or none                         as without it, with a `Warned`
valid                                      its create is in doubt              `Held`
valid                                      none, and OneFile has no such       `Create`
                                           MISID
valid, and its MISID looks like a known    none                                `Held` ("lookalike key"); `Rekey` if
one                                                                            answered "same", `Create` if "new"
valid                                      none, but the record resembles an   `Held` ("rekeyed?"); `Rekey` if answered
                                           account whose record is gone        "same", `Create` if "new"
valid, and starts after the planned end    none                                `Create`, and a `NextProgramme`
of an account that it resembles
valid                                      none, but OneFile has an account    `Held` ("has an account?"); `Update`, as
                                           without a record with its names     a link, if answered "same", `Create` if
                                                                               "new"
valid                                      none, but OneFile has its MISID     `Update`, as a link
                                           on one account
valid                                      none, but OneFile has its MISID     `Returner` (unarchive), then the link
                                           on one archived account
valid                                      none, but OneFile has its MISID     `Rekey`
                                           on the account that it resembles
valid                                      none, but OneFile has its MISID     `Held`
                                           on several accounts, or on another
                                           known account
valid, same fingerprint                    active                              none
valid, other fingerprint, same values      active                              `Refresh`: only the store is updated
valid, and its values have become those    active                              `Held` ("another person?"); `Update` if
of another person                                                              answered "same"; if "new", `Held`, and a
                                                                               `Rekey` that releases the account
valid, other values                        active                              `Update` with the values that differ
valid                                      a leaver                            `Returner`, then as if it was active
valid                                      archived, possibly archived, or a   `Returner` (unarchive), then as if active
                                           leaver that OneFile has archived
none                                       active, or a leaver                 `Leaver`; archived after the grace period
                                                                               if the settings say so
none                                       archived                            none
=========================================  ==================================  =======================================

In addition, because OneFile has a separate call for each (§11):

=========================================  =============================================================================
an employer with ``GrantAccess``           `Grant` after its own step, if the value or the placement is new
a row of an assignments feed               `Assign` if it is not made yet; `Held` if one of both has no account, or if
                                           OneFile has refused it
a learner whose new default employer is    the `Update` with ``DefaultEmployerID`` follows after the `Assign`
assigned in the same run
=========================================  =============================================================================
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from math import ceil
from typing import Self, TypeAlias, TypeVar

from syncd.core.evidence import Evidence
from syncd.core.fields import SENDING_ORDER, Role
from syncd.core.records import Held, Key, Warned
from syncd.core.values import Sent, Value


@dataclass(frozen=True, slots=True)
class Create:
    """An account that OneFile does not have yet."""

    key: Key
    feed: str
    fields: dict[str, Value]
    waits_for: dict[str, Key] = field(default_factory=dict)
    """Id fields that refer to an account which the same run creates first."""
    fingerprint: str = ""
    """Of the record, to be stored with the account."""
    ids: dict[str, int] = field(default_factory=dict)
    """The ids that the record's codes stand for, by field, without those waited for."""
    former_role: Role | None = None
    """The role of an account with the same MISID whose record is gone: the person has changed roles."""
    needs_recheck: bool = False
    """Whether more of the record follows: if the run ends before that, the next one must compare it again."""
    person_key: str = ""
    """The digest of the MIS's own key of the person, to be stored with the account."""
    refers_to: dict[str, Key] = field(default_factory=dict, compare=False)
    """The accounts, known or created first, that id fields refer to by a code of the MIS."""


@dataclass(frozen=True, slots=True)
class Update:
    """An account that OneFile has, and the fields to change in it."""

    key: Key
    feed: str
    user_id: int | None
    """``None`` if the same run creates the account first."""
    fields: dict[str, Sent]
    waits_for: dict[str, Key] = field(default_factory=dict)
    fingerprint: str = ""
    is_link: bool = False
    """OneFile has the account already and syncd did not know it: by this update it becomes the record's account."""
    ids: dict[str, int] = field(default_factory=dict)
    after_assigning: Key | None = None
    """The employer that must be assigned to this learner first; OneFile takes no other as the default (§11)."""
    invalidates: tuple[str, ...] = ()
    """Fields whose stored values are no longer true once OneFile has accepted this update."""
    needs_recheck: bool = False
    person_key: str = ""
    refers_to: dict[str, Key] = field(default_factory=dict, compare=False)
    completes: dict[str, Value] = field(default_factory=dict, compare=False)
    """All fields of the record, if the account was created and the answer lost: this update completes that create."""
    undoes: dict[str, str] = field(default_factory=dict, compare=False)
    """The marks of the changes that it takes back, by field: no poll makes one of those again."""
    redoes: dict[str, str] = field(default_factory=dict, compare=False)
    """The marks of the changes that were taken back and that it makes again, by field."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An employer is assigned to their placement, with or without access to all of its learners (§11)."""

    key: Key
    feed: str
    placement: int | Key
    """OneFile's id of it, or the placement that the same run creates first."""
    is_open: bool
    fingerprint: str = ""
    ids: dict[str, int] = field(default_factory=dict)
    needs_recheck: bool = False
    refers_to: dict[str, Key] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Assign:
    """A user is assigned to a learner, besides the default assessor, at level 1 (§11)."""

    learner: Key
    user: Key
    feed: str


@dataclass(frozen=True, slots=True)
class Rekey:
    """An account that gets a new MISID: its person has that one in the MIS now, or its MISID has a new owner."""

    old: Key
    key: Key
    """With the new MISID; organisation and role are the same."""
    user_id: int
    is_release: bool = False
    """The MISID has a new owner: the account becomes a leaver, under a MISID that says so and that no record has."""
    feed: str = ""
    fingerprint: str = ""
    """Of the record that it is about, with its ids, so that a refused one is not repeated; empty if there is none."""

    @classmethod
    def release(cls, key: Key, user_id: int, feed: str = "", fingerprint: str = "") -> Self:
        """The step that takes its MISID from an account.

        It is not documented whether OneFile can clear a field (U16), so the account gets a MISID that says what
        happened.
        """
        new = key._replace(misid=f"released-{user_id}")
        return cls(key, new, user_id, is_release=True, feed=feed, fingerprint=fingerprint)

    @property
    def record_key(self) -> Key:
        """The key of the record that it is about."""
        return self.old if self.is_release else self.key

    @property
    def note(self) -> str:
        """What the audit trail says of it besides the new MISID."""
        what = "released, because the MISID has a new owner" if self.is_release else "the same person, new MISID"
        return f"was {self.old.misid} until now: {what}"


@dataclass(frozen=True, slots=True)
class Refresh:
    """A record that has another fingerprint and needs no call: only the fingerprint is stored."""

    key: Key
    feed: str
    fingerprint: str
    ids: dict[str, int] = field(default_factory=dict)
    needs_recheck: bool = False
    person_key: str = ""


@dataclass(frozen=True, slots=True)
class NextProgramme:
    """A new account for a person who starts their next programme; the other account is left to end."""

    key: Key
    old: Key
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Returner:
    """An account whose record was gone and is back, or that OneFile has archived although it has a record."""

    key: Key
    user_id: int
    is_archived: bool
    """Whether it must be unarchived."""
    fingerprint: str = field(default="", compare=False)
    """Of its record, without the ids of its codes; empty if it has none."""
    is_leaver: bool = False
    """Whether its record is still gone: an operator takes back that it was archived."""
    undoes: dict[str, str] = field(default_factory=dict, compare=False)
    """The mark of the change that it takes back, with an empty name of a field."""
    redoes: dict[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Leaver:
    """An account whose record is in no feed any more."""

    key: Key
    user_id: int | None
    left_at: datetime | None
    """When a run first found the record gone; ``None`` if it is this one."""
    to_archive: bool
    undoes: dict[str, str] = field(default_factory=dict, compare=False)
    """The mark of the change that it takes back, with an empty name of a field."""
    redoes: dict[str, str] = field(default_factory=dict, compare=False)


Step: TypeAlias = Returner | Rekey | Create | Update | Grant | Assign | Leaver
"""A step that is sent to OneFile with one call."""

_OfRole = TypeVar("_OfRole", Create, Update, Grant)


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of one run, and what it found besides."""

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
    next_programmes: tuple[NextProgramme, ...] = ()
    """Which of the creates and links are for people who have another account already."""
    defaulted: Mapping[tuple[Role, str], int] = field(default_factory=dict)
    """How many records are sent with a default for a reference that the MIS does not give, by role and field."""

    def steps(self) -> Iterator[Step]:
        """Every step that takes a call, in the order in which they are sent."""
        return chain.from_iterable(self.stages())

    def stages(self) -> Iterator[Iterable[Step]]:
        """The steps in stages: those of one stage may be sent at the same time.

        A record is sent after the records that it refers to. Each stage must be used up before the next.
        """
        yield (returner for returner in self.returners if returner.is_archived)
        yield self.rekeys
        roles = {step.key.role for step in chain[Create | Update | Grant](self.creates, self.updates, self.grants)}
        for role in filter(roles.__contains__, SENDING_ORDER):
            updates = (update for update in _of_role(self.updates, role) if update.after_assigning is None)
            yield chain[Step](_of_role(self.creates, role), updates)
            yield _of_role(self.grants, role)
        yield self.assigns
        yield (update for update in self.updates if update.after_assigning is not None)
        # OneFile may refuse to archive the assessor of an active learner (U20).
        yield (leaver for leaver in self.leavers if leaver.to_archive and leaver.key.role is Role.LEARNER)
        yield (leaver for leaver in self.leavers if leaver.to_archive and leaver.key.role is not Role.LEARNER)

    @property
    def new_leavers(self) -> tuple[Leaver, ...]:
        """The leavers that no earlier run has found gone."""
        return tuple(leaver for leaver in self.leavers if leaver.left_at is None)

    @property
    def calls(self) -> int:
        """How many steps take a call; searches for the ids of new accounts are not counted."""
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
        """How long those calls take at this rate, rounded up."""
        return ceil(self.calls / calls_per_second)


def _of_role(steps: Collection[_OfRole], role: Role) -> Iterator[_OfRole]:
    return (step for step in steps if step.key.role is role)

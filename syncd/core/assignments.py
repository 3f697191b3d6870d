"""Who is assigned to a learner besides the default assessor: the rows of a links feed become calls, or are held.

OneFile knows no way to take an assignment back or to list those there are (§11), so what was assigned is remembered.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, NamedTuple, Self

from syncd.core.accounts import Known
from syncd.core.fields import ORGANISATION_COLUMN, Kind, Role
from syncd.core.plan import Assign
from syncd.core.records import Held, Key, OtherOrganisation, Reason, UnusableColumns, Warned
from syncd.core.values import Unusable, read_value

#: The roles that can be assigned to a learner (§11).
ASSIGNABLE: Final = (Role.ASSESSOR, Role.TRAINEE_ASSESSOR, Role.IQA, Role.EMPLOYER, Role.OBSERVER)

LEARNER_COLUMN: Final = "LearnerMISID"
USER_COLUMN: Final = "UserMISID"
#: In the order in which they are read: whatever is wrong with a row is wrong in its organisation.
_COLUMNS: Final = {name.lower(): name for name in (ORGANISATION_COLUMN, LEARNER_COLUMN, USER_COLUMN)}


class Pair(NamedTuple):
    """A learner, and somebody who is assigned to them."""

    learner: Key
    user: Key


@dataclass(frozen=True, slots=True)
class StoredAssignment:
    """What became of an assignment when it was last sent."""

    learner_id: int
    user_id: int
    refusal: str = ""
    """OneFile's words, if it said no."""


@dataclass(frozen=True, slots=True)
class AssignmentLayout:
    """Where a links feed has which column; made once a feed, applied to every row."""

    role: Role
    """That of whoever is assigned."""
    feed: str
    organisation_id: int
    positions: Mapping[str, int]

    @classmethod
    def from_columns(cls, role: Role, feed: str, columns: Sequence[str], organisation_id: int) -> Self:
        """Match a feed's columns, in any letter case. Raises `UnusableColumns`."""
        positions: dict[str, int] = {}
        for position, column in enumerate(columns):
            name = _COLUMNS.get(column.strip().lower())
            if name is None:
                nearest = get_close_matches(column.strip().lower(), _COLUMNS, n=1)
                hint = f"did you mean {_COLUMNS[nearest[0]]}?" if nearest else "leave it out"
                raise UnusableColumns(f"column {column!r} is not one that links have; {hint}")
            if name in positions:
                raise UnusableColumns(f"column {name} appears twice; keep one")
            positions[name] = position
        if missing := [name for name in (LEARNER_COLUMN, USER_COLUMN) if name not in positions]:
            raise UnusableColumns(f"mandatory for links and not among the columns: {'; '.join(missing)}")
        return cls(role, feed, organisation_id, positions)

    def read(self, row: Sequence[object], number: int) -> "AssignmentRecord | Held":
        """Normalise one row; ``number`` counts the feed's rows from 1."""
        told: dict[str, str] = {}
        organisation_id = self.organisation_id
        for name in filter(self.positions.__contains__, _COLUMNS.values()):
            kind = Kind.INTEGER if name == ORGANISATION_COLUMN else Kind.TEXT
            try:
                value = read_value(kind, row[self.positions[name]])
            except Unusable as problem:
                return self._held(organisation_id, number, Reason.UNUSABLE, name, str(problem))
            if name != ORGANISATION_COLUMN and value is None:
                return self._held(organisation_id, number, Reason.MISSING, name, "is empty")
            if name == ORGANISATION_COLUMN:
                organisation_id = self.organisation_id if value is None else int(value)
            else:
                told[name] = str(value)
        learner = Key(organisation_id, Role.LEARNER, told[LEARNER_COLUMN])
        return AssignmentRecord(Pair(learner, Key(organisation_id, self.role, told[USER_COLUMN])), self.feed)

    def _held(self, organisation_id: int, number: int, reason: Reason, name: str, detail: str) -> Held:
        return Held(organisation_id, self.role, "", self.feed, reason, name, f"{name} {detail}", number)


@dataclass(frozen=True, slots=True)
class AssignmentRecord:
    """One row of a links feed."""

    pair: Pair
    feed: str

    @property
    def key(self) -> Key:
        """The learner's."""
        return self.pair.learner


@dataclass(slots=True)
class ChangedAssignments:
    """What is left of the links feeds once what is assigned already has dropped out."""

    to_assign: dict[Pair, AssignmentRecord] = field(default_factory=dict)
    refused: dict[Pair, AssignmentRecord] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    gone: list[Pair] = field(default_factory=list)
    """Assigned, and in no feed any more."""


def find_changed_assignments(
    links: Iterable[AssignmentRecord | Held | OtherOrganisation],
    remembered: Mapping[Pair, StoredAssignment],
    known: Mapping[Key, Known],
    only: Collection[str] = (),
) -> ChangedAssignments:
    """Tell the links that are still to be made, or that OneFile has refused, from those that are there.

    One that was made for another account of the same person is made again.
    """
    sifted = ChangedAssignments()
    seen: set[Pair] = set()
    for link in links:
        if isinstance(link, OtherOrganisation):
            continue
        if isinstance(link, Held):
            if not only:
                sifted.held.append(link)
            continue
        seen.add(link.pair)
        if only and link.pair.learner.misid not in only:
            continue
        before = remembered.get(link.pair)
        if before is None or not _is_of_the_same(before, link.pair, known):
            sifted.to_assign[link.pair] = link
        elif before.refusal:
            sifted.refused[link.pair] = link
    sifted.gone = sorted(
        pair
        for pair, before in remembered.items()
        if pair not in seen and not before.refusal and (not only or pair.learner.misid in only)
    )
    return sifted


def _is_of_the_same(before: StoredAssignment, pair: Pair, known: Mapping[Key, Known]) -> bool:
    ids = [account.user_id if (account := known.get(key)) else None for key in pair]
    return ids == [before.learner_id, before.user_id]


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """What becomes of the links in a run."""

    assigns: tuple[Assign, ...]
    held: tuple[Held, ...]
    warnings: tuple[Warned, ...]


def plan_assignments(
    sifted: ChangedAssignments,
    remembered: Mapping[Pair, StoredAssignment],
    known: Mapping[Key, Known],
    coming: Set[Key],
) -> AssignmentPlan:
    """Make the assignments of a plan; ``coming`` are the accounts that it creates, links or brings back.

    Whoever has no account is held, and so is what OneFile has refused; a link that is gone from the MIS is a warning.
    """
    assigns: list[Assign] = []
    problems: dict[tuple[Key, str, Reason, str], list[str]] = {}
    for pair, link in sifted.to_assign.items():
        columns = {LEARNER_COLUMN: pair.learner, USER_COLUMN: pair.user}
        absent = [name for name, key in columns.items() if key not in coming and not _is_usable(key, known)]
        for name in absent[:1]:
            said = f"there is no account of the {columns[name].role} with the MISID {columns[name].misid!r}"
            same = problems.setdefault((pair.learner, link.feed, Reason.REFERENCE_NOT_FOUND, name), [])
            same.extend([said] if said not in same else [])
        if not absent:
            assigns.append(Assign(pair.learner, pair.user, link.feed))
    for pair, link in sifted.refused.items():
        said = f"the {pair.user.role} {pair.user.misid}: {remembered[pair].refusal}"
        problems.setdefault((pair.learner, link.feed, Reason.REFUSED, USER_COLUMN), []).append(said)
    held = tuple(
        Held(*learner, feed, reason, name, "; ".join(said)) for (learner, feed, reason, name), said in problems.items()
    )
    return AssignmentPlan(tuple(assigns), (*sifted.held, *held), tuple(_gone(sifted, known)))


def _is_usable(key: Key, known: Mapping[Key, Known]) -> bool:
    return key in known and known[key].is_usable


def _gone(sifted: ChangedAssignments, known: Mapping[Key, Known]) -> Iterable[Warned]:
    here = (pair for pair in sifted.gone if all(key in known and known[key].is_settled for key in pair))
    for learner, users in users_by_learner(here).items():
        named = ", ".join(f"{user.role} {user.misid}" for user in sorted(users))
        detail = f"{named}: assigned in OneFile and no longer in the MIS; unassign by hand in OneFile"
        yield Warned(learner, "", Reason.CLEARED, USER_COLUMN, detail)


def users_by_learner(pairs: Iterable[Pair]) -> dict[Key, Set[Key]]:
    """The same pairs, as who goes with which learner."""
    by_learner: dict[Key, set[Key]] = {}
    for pair in pairs:
        by_learner.setdefault(pair.learner, set()).add(pair.user)
    return dict(by_learner)

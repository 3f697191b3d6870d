"""Assignments to learners besides the default assessor: each row of an assignments feed becomes a call, or is held.

OneFile can neither undo an assignment nor list those there are (§11), so the state store keeps what was assigned.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, NamedTuple, Self

from syncd.core.accounts import Known
from syncd.core.fields import ORGANISATION_COLUMN, Role
from syncd.core.misid import read_misid
from syncd.core.plan import Assign
from syncd.core.records import Held, Key, OrganisationColumn, OtherOrganisation, Reason, UnusableColumns, Warned
from syncd.core.scope import EVERYONE, Scope
from syncd.core.values import Unusable

#: The roles that can be assigned to a learner (§11).
ASSIGNABLE: Final = (Role.ASSESSOR, Role.TRAINEE_ASSESSOR, Role.IQA, Role.EMPLOYER, Role.OBSERVER)

LEARNER_COLUMN: Final = "LearnerMISID"
USER_COLUMN: Final = "UserMISID"
_COLUMNS: Final = {name.lower(): name for name in (ORGANISATION_COLUMN, LEARNER_COLUMN, USER_COLUMN)}


class Pair(NamedTuple):
    """A learner, and a user who is assigned to the learner."""

    learner: Key
    user: Key


@dataclass(frozen=True, slots=True)
class StoredAssignment:
    """An assignment that was sent, and whether OneFile refused it."""

    learner_id: int
    user_id: int
    refusal: str = ""
    """OneFile's message, if it refused it."""


@dataclass(frozen=True, slots=True)
class AssignmentLayout:
    """Which column of an assignments feed is which: made once for a feed, applied to every row."""

    role: Role
    """The role of the users who are assigned."""
    feed: str
    organisation: OrganisationColumn
    positions: Mapping[str, int]

    @classmethod
    def from_columns(
        cls,
        role: Role,
        feed: str,
        columns: Sequence[str],
        organisation_id: int,
        *,
        has_several_organisations: bool = False,
    ) -> Self:
        """Match a feed's columns, in any letter case; the organisation is as in `Layout`. Raises `UnusableColumns`."""
        positions: dict[str, int] = {}
        for position, column in enumerate(columns):
            name = _COLUMNS.get(column.strip().lower())
            if name is None:
                nearest = get_close_matches(column.strip().lower(), _COLUMNS, n=1)
                hint = f"did you mean {_COLUMNS[nearest[0]]}?" if nearest else "leave it out"
                raise UnusableColumns(f"column {column!r} is not one of an assignments feed; {hint}")
            if name in positions:
                raise UnusableColumns(f"column {name} appears twice; keep one")
            positions[name] = position
        if missing := [name for name in (LEARNER_COLUMN, USER_COLUMN) if name not in positions]:
            raise UnusableColumns(f"mandatory for assignments and not among the columns: {'; '.join(missing)}")
        organisation = OrganisationColumn.at(
            positions.get(ORGANISATION_COLUMN), organisation_id, is_mandatory=has_several_organisations
        )
        return cls(role, feed, organisation, positions)

    def read(self, row: Sequence[object], number: int) -> "AssignmentRecord | Held":
        """Normalise one row; ``number`` counts the feed's rows from 1."""
        organisation = self.organisation.read(row)
        # A row that cannot be read is held in its own organisation, if it names one.
        organisation_id = organisation if isinstance(organisation, int) else self.organisation.default
        misids: dict[str, str] = {}
        for name in (LEARNER_COLUMN, USER_COLUMN):
            try:
                value = read_misid(row[self.positions[name]])
            except Unusable as problem:
                return self._held(organisation_id, number, Reason.UNUSABLE, name, str(problem))
            if value is None:
                return self._held(organisation_id, number, Reason.MISSING, name, "is empty")
            misids[name] = value
        if not isinstance(organisation, int):
            reason, detail = organisation
            return self._held(organisation_id, number, reason, ORGANISATION_COLUMN, detail)
        learner = Key(organisation_id, Role.LEARNER, misids[LEARNER_COLUMN])
        return AssignmentRecord(Pair(learner, Key(organisation_id, self.role, misids[USER_COLUMN])), self.feed)

    def _held(self, organisation_id: int, number: int, reason: Reason, name: str, detail: str) -> Held:
        return Held(organisation_id, self.role, "", self.feed, reason, name, f"{name} {detail}", number)


@dataclass(frozen=True, slots=True)
class AssignmentRecord:
    """One row of an assignments feed."""

    pair: Pair
    feed: str

    @property
    def key(self) -> Key:
        """The key of the learner."""
        return self.pair.learner


@dataclass(slots=True)
class ChangedAssignments:
    """The assignments feeds without the rows that are assigned already."""

    to_assign: dict[Pair, AssignmentRecord] = field(default_factory=dict)
    refused: dict[Pair, AssignmentRecord] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    gone: list[Pair] = field(default_factory=list)
    """Assigned in OneFile, and in no feed any more."""


def find_changed_assignments(
    rows: Iterable[AssignmentRecord | Held | OtherOrganisation],
    stored: Mapping[Pair, StoredAssignment],
    known: Mapping[Key, Known],
    scope: Scope = EVERYONE,
) -> ChangedAssignments:
    """Separate the assignments that are still to be made, or that OneFile has refused, from those that are made.

    One that was made for another account of the same person is made again.
    """
    changed = ChangedAssignments()
    seen: set[Pair] = set()
    for row in rows:
        if isinstance(row, OtherOrganisation):
            continue
        if isinstance(row, Held):
            if scope.is_everyone:
                changed.held.append(row)
            continue
        seen.add(row.pair)
        if row.pair.learner.misid not in scope:
            continue
        before = stored.get(row.pair)
        if before is None or not _is_of_same_accounts(before, row.pair, known):
            changed.to_assign[row.pair] = row
        elif before.refusal:
            changed.refused[row.pair] = row
    changed.gone = sorted(
        pair
        for pair, before in stored.items()
        if pair not in seen and not before.refusal and pair.learner.misid in scope
    )
    return changed


def _is_of_same_accounts(before: StoredAssignment, pair: Pair, known: Mapping[Key, Known]) -> bool:
    ids = [account.user_id if (account := known.get(key)) else None for key in pair]
    return ids == [before.learner_id, before.user_id]


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """The part of a plan that is about assignments."""

    assigns: tuple[Assign, ...]
    held: tuple[Held, ...]
    warnings: tuple[Warned, ...]


def plan_assignments(
    changed: ChangedAssignments,
    stored: Mapping[Pair, StoredAssignment],
    known: Mapping[Key, Known],
    coming: Set[Key],
) -> AssignmentPlan:
    """Plan the assignments; ``coming`` are the accounts that the same plan creates, links or brings back.

    An assignment is held if one of its two accounts does not exist, or if OneFile has refused it. One that is gone
    from the MIS is a warning.
    """
    assigns: list[Assign] = []
    problems: dict[tuple[Key, str, Reason, str], list[str]] = {}
    for pair, row in changed.to_assign.items():
        columns = {LEARNER_COLUMN: pair.learner, USER_COLUMN: pair.user}
        absent = [name for name, key in columns.items() if key not in coming and not _is_usable(key, known)]
        for name in absent[:1]:
            problem = f"there is no account of the {columns[name].role} with the MISID {columns[name].misid!r}"
            same = problems.setdefault((pair.learner, row.feed, Reason.REFERENCE_NOT_FOUND, name), [])
            same.extend([problem] if problem not in same else [])
        if not absent:
            assigns.append(Assign(pair.learner, pair.user, row.feed))
    for pair, row in changed.refused.items():
        problem = f"the {pair.user.role} {pair.user.misid}: {stored[pair].refusal}"
        problems.setdefault((pair.learner, row.feed, Reason.REFUSED, USER_COLUMN), []).append(problem)
    held = tuple(
        Held(*learner, feed, reason, name, "; ".join(details))
        for (learner, feed, reason, name), details in problems.items()
    )
    return AssignmentPlan(tuple(assigns), (*changed.held, *held), tuple(_warn_of_gone(changed, known)))


def _is_usable(key: Key, known: Mapping[Key, Known]) -> bool:
    return key in known and known[key].is_usable


def _warn_of_gone(changed: ChangedAssignments, known: Mapping[Key, Known]) -> Iterable[Warned]:
    pairs = (pair for pair in changed.gone if all(key in known and known[key].is_settled for key in pair))
    for learner, users in users_by_learner(pairs).items():
        named = ", ".join(f"{user.role} {user.misid}" for user in sorted(users))
        detail = f"{named}: assigned in OneFile and no longer in the MIS; unassign by hand in OneFile"
        yield Warned(learner, "", Reason.CLEARED, USER_COLUMN, detail)


def users_by_learner(pairs: Iterable[Pair]) -> dict[Key, Set[Key]]:
    """The users of each learner in these pairs."""
    by_learner: dict[Key, set[Key]] = {}
    for pair in pairs:
        by_learner.setdefault(pair.learner, set()).add(pair.user)
    return dict(by_learner)

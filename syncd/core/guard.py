"""The guard: a plan that changes too much is stopped before its first call, until a person approves it.

It counts four kinds of changes, each on its own: creates, updates, leavers and archivings. Each has three limits: what
one run may change, and what all runs of 24 hours and of 7 days together may change without an approval. So neither one
large mistake nor a small one that each run repeats gets far.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from itertools import chain
from typing import Final

from syncd.core.fields import FIELDS
from syncd.core.fields import Kind as FieldKind
from syncd.core.plan import Create, Plan, Update
from syncd.core.records import Key, Reason
from syncd.core.run import Action
from syncd.core.text import plural
from syncd.core.values import Sent

#: So many people may be affected in a small college before a share of the people counts.
_FEW: Final = 5

#: Fields whose value belongs to one person.
_PERSONAL: Final = frozenset(
    name for name, field in FIELDS.items() if field.kind in {FieldKind.EMAIL, FieldKind.ULN, FieldKind.NINO}
)

#: Enough that few of the values of 200,000 people have one hash by chance, and 4 MB.
_HASHES: Final = 1 << 22
_MOST_COUNTED: Final = 255
"""The highest number that fits into one byte."""


class ChangeKind(StrEnum):
    """What the guard counts on its own."""

    CREATES = "creates"
    UPDATES = "updates"
    LEAVERS = "leavers"
    ARCHIVINGS = "archivings"

    @property
    def noun(self) -> str:
        """The name of one such change."""
        return self.removesuffix("s")

    @classmethod
    def of(cls, action: Action) -> "ChangeKind":
        """The kind of a change that is sent to OneFile. Leavers need no call: a run only records them."""
        match action:
            case Action.CREATE:
                return cls.CREATES
            case Action.ARCHIVE:
                return cls.ARCHIVINGS
            case _:
                return cls.UPDATES


class Window(Enum):
    """The time over which changes are counted together, as a message names it."""

    RUN = "in one run"
    DAY = "in 24 hours"
    WEEK = "in 7 days"


DAY: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may change without an approval."""

    percent: float = 10
    """Of the accounts, in one run."""
    floor: int = 50
    """The number that is allowed even if it is a higher percentage, up to a quarter of the accounts."""
    field_percent: float = 20
    """Of the people: how many may have one field changed, or values that have become another person's, in one run."""
    percent_day: float = 15
    percent_week: float = 25

    def allowed(self, accounts: int, window: Window = Window.RUN) -> int:
        """The highest allowed number of changes of one kind, with this many accounts known."""
        percent = {Window.RUN: self.percent, Window.DAY: self.percent_day, Window.WEEK: self.percent_week}[window]
        return max(min(self.floor, accounts // 4), int(accounts * percent / 100))

    def allowed_people(self, people: int) -> int:
        """The highest allowed number of people of whom one field changes, or who have become another person."""
        return max(_FEW, int(people * self.field_percent / 100))

    def allowed_alike(self, people: int) -> int:
        """The highest allowed number of people whose field changes to one value."""
        return max(_FEW, int(people * min(self.percent, self.field_percent) / 100))


@dataclass(frozen=True, slots=True)
class Counts:
    """What the guard counts."""

    creates: int = 0
    updates: int = 0
    leavers: int = 0
    archivings: int = 0

    @classmethod
    def from_plan(cls, plan: Plan) -> "Counts":
        """Each step that changes an account counts as an update.

        A leaver counts in the run that finds it gone, and again as an archiving in the run that archives it.
        """
        updates = sum(map(len, (plan.updates, plan.rekeys, plan.returners, plan.grants, plan.assigns)))
        archivings = sum(leaver.to_archive for leaver in plan.leavers)
        return cls(len(plan.creates), updates, len(plan.new_leavers), archivings)

    @classmethod
    def by_kind(cls, counts: Mapping[ChangeKind, int]) -> "Counts":
        """The counts that are listed by kind; 0 for the others."""
        return cls(**{str(kind): count for kind, count in counts.items()})

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of two plans together."""
        return Counts.by_kind({kind: self.of(kind) + other.of(kind) for kind in ChangeKind})

    def of(self, kind: ChangeKind) -> int:
        """The count of one kind."""
        count: int = getattr(self, kind)
        return count


NOTHING_USED: Final = Counts()


@dataclass(frozen=True, slots=True)
class Usage:
    """How many accounts an organisation has, and how much of its limits is used."""

    accounts: int
    """Without archived ones, and without those that were created without approval in the last 7 days: what the limits
    let through does not raise them."""
    people: int
    """The users among the accounts: no classrooms and placements."""
    day: Counts = NOTHING_USED
    """What was sent without approval in the last 24 hours."""
    week: Counts = NOTHING_USED
    """What was sent without approval in the last 7 days."""
    has_created: bool = True
    """Whether an earlier run has created an account."""

    def used(self, kind: ChangeKind, window: Window) -> int:
        """How much of a limit is used."""
        return {Window.RUN: NOTHING_USED, Window.DAY: self.day, Window.WEEK: self.week}[window].of(kind)


@dataclass(frozen=True, slots=True)
class FeedSize:
    """The rows of a feed now, and the accounts that came from it before."""

    name: str
    rows: int
    accounts: int
    elsewhere: int = 0
    """The rows that it has for other organisations."""
    gone: int = 0
    """How many of the accounts have no record in any feed now."""


def guard(plan: Plan, limits: Limits, usage: Usage, feeds: Iterable[FeedSize]) -> tuple[str, ...]:
    """The reasons to stop this plan, as sentences; none if it may be sent without an approval."""
    return (
        *_too_many(Counts.from_plan(plan), limits, usage),
        *_field_changes(plan, limits, usage.people),
        *_values_in_common(plan, limits, usage.people),
        *_too_many_questions(plan, limits, usage.accounts),
        *filter(None, map(_shrunk, feeds)),
    )


def _too_many(counts: Counts, limits: Limits, usage: Usage) -> Iterator[str]:
    """For each kind the first limit that is exceeded: a run's, a day's or a week's."""
    for kind in ChangeKind:
        count = counts.of(kind)
        if kind is ChangeKind.CREATES and count and not usage.has_created:
            # The limits are shares of the accounts, and say little of an organisation that is new to syncd.
            yield f"it is the first run to create accounts in this organisation ({plural(count, 'create')})"
            continue
        for window in Window if count else ():
            allowed, used = limits.allowed(usage.accounts, window), usage.used(kind, window)
            if used + count > allowed:
                yield f"{plural(count, kind.noun)} where {_allowed(allowed, window, used)}"
                break


def _allowed(allowed: int, window: Window, used: int) -> str:
    are = "is" if allowed == 1 else "are"
    of_it = f", of which {used:,} {'is' if used == 1 else 'are'} used" if used else ""
    return f"{allowed:,} {are} allowed {window.value} without approval{of_it}"


def _field_changes(plan: Plan, limits: Limits, people: int) -> Iterator[str]:
    """One field changes for many: a column of the view has moved, or its format has changed."""
    changed = Counter(name for update in _value_changes(plan) for name in {*update.fields, *update.waits_for})
    allowed = limits.allowed_people(people)
    for name, count in changed.most_common():
        if count > allowed:
            yield f"{name} changes for {count:,} of {people:,} people where {allowed:,} are allowed in one run"


def _values_in_common(plan: Plan, limits: Limits, people: int) -> Iterator[str]:
    """Many get one value: a join has gone wrong, or a constant has taken the place of a column.

    An e-mail address, a ULN and a NINO belong to one person, so a new account counts as well, and few may share one. A
    class or an assessor is given to many in earnest: only changes count, and a share of the people is allowed.
    """
    allowed = limits.allowed_alike(people)
    for name, count in _in_common(lambda: _value_changes(plan), allowed, is_personal=False):
        yield f"{name} changes to one value for {count:,} of {people:,} people where {allowed:,} are allowed"

    def of_people() -> Iterator[Create | Update]:
        every = chain[Create | Update](plan.creates, plan.updates)
        return (step for step in every if not step.key.role.is_place)

    for name, count in _in_common(of_people, _FEW, is_personal=True):
        yield f"{name} would be the same for {count:,} people where {_FEW} are allowed"


def _value_changes(plan: Plan) -> Iterator[Update]:
    """The updates that replace values of people: one that links an account sends the whole record."""
    return (
        update
        for update in plan.updates
        if update.user_id is not None and not update.is_link and not update.key.role.is_place
    )


def _in_common(
    steps: Callable[[], Iterable[Create | Update]], allowed: int, *, is_personal: bool
) -> list[tuple[str, int]]:
    """The fields of which more steps than allowed have one value, each with the number of those steps.

    A plan may have millions of values. Those are counted exactly of whose hashes there are enough.
    """
    hashes = bytearray(_HASHES)
    enough = min(allowed, _MOST_COUNTED)
    candidates: set[int] = set()
    for field_value in chain.from_iterable(_values(step, is_personal=is_personal) for step in steps()):
        place = hash(field_value) % _HASHES
        if hashes[place] < enough:
            hashes[place] += 1
        else:
            candidates.add(place)
    if not candidates:
        return []
    counts = Counter(
        field_value
        for step in steps()
        for field_value in _values(step, is_personal=is_personal)
        if hash(field_value) % _HASHES in candidates
    )
    most: dict[str, int] = {}
    for (name, _), count in counts.items():
        if count > allowed:
            most[name] = max(count, most.get(name, 0))
    return sorted(most.items())


def _values(step: Create | Update, *, is_personal: bool) -> Iterator[tuple[str, Sent | Key]]:
    """The values of a step that are counted as personal, or those that are not; an empty one is nobody's."""
    for name, value in chain[tuple[str, Sent | Key]](step.fields.items(), step.waits_for.items()):
        if (name in _PERSONAL and value not in {None, ""}) is is_personal:
            yield name, value


def _too_many_questions(plan: Plan, limits: Limits, accounts: int) -> Iterator[str]:
    """A view whose rows have slipped gives people each other's values: the same kind of change for many at once."""
    answered = {rekey.old for rekey in plan.rekeys}
    replaced = [hold for hold in plan.held if hold.reason is Reason.ANOTHER_PERSON and hold.key not in answered]
    if len(replaced) > limits.allowed_people(accounts):
        names = sorted({name for hold in replaced if hold.evidence for name in hold.evidence.differ})
        people = f"{len(replaced):,} of {accounts:,} accounts"
        yield f"the values of {people} have become another person's: {', '.join(names)}"


def _shrunk(feed: FeedSize) -> str:
    if feed.rows == 0 and (feed.accounts or not feed.elsewhere):
        return f"feed {feed.name} returned no rows"
    if feed.rows * 2 < feed.accounts:
        return f"feed {feed.name} returned {feed.rows:,} rows where it had {feed.accounts:,} accounts"
    if feed.gone * 2 > feed.accounts:
        return f"feed {feed.name} no longer has {feed.gone:,} of the {feed.accounts:,} people it had"
    return ""

"""The guard: a plan that changes too much is stopped before its first call, until a person approves it."""

from collections.abc import Iterable
from dataclasses import dataclass

from syncd.core.plan import Plan


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may change without an approval."""

    percent: float = 10
    floor: int = 50

    def allowed(self, accounts: int) -> int:
        """The highest allowed number of creates, of updates and of leavers, with this many accounts known."""
        return max(self.floor, int(accounts * self.percent / 100))


@dataclass(frozen=True, slots=True)
class Counts:
    """What the guard counts, and what an approval covers."""

    creates: int = 0
    updates: int = 0
    leavers: int = 0

    @classmethod
    def from_plan(cls, plan: Plan) -> "Counts":
        """Each step that changes an account counts as an update; a leaver counts in the run that finds it gone."""
        updates = sum(map(len, (plan.updates, plan.rekeys, plan.returners, plan.grants, plan.assigns)))
        return cls(len(plan.creates), updates, len(plan.new_leavers))

    def covers(self, other: "Counts") -> bool:
        """Whether an approval of these counts allows ``other``."""
        return other.creates <= self.creates and other.updates <= self.updates and other.leavers <= self.leavers

    def beyond(self, allowed: int) -> "Counts":
        """The counts that are higher than allowed; 0 for the others."""
        return Counts(*(count if count > allowed else 0 for count in (self.creates, self.updates, self.leavers)))

    def less(self, other: "Counts") -> "Counts":
        """What is left of these counts after ``other`` is used."""
        return Counts(
            max(0, self.creates - other.creates),
            max(0, self.updates - other.updates),
            max(0, self.leavers - other.leavers),
        )


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


def guard(plan: Plan, limits: Limits, accounts: int, feeds: Iterable[FeedSize]) -> tuple[str, ...]:
    """The reasons to stop this plan, as sentences; none if it may run.

    ``accounts`` is how many accounts the store knows, without the archived ones.
    """
    allowed = limits.allowed(accounts)
    counts = Counts.from_plan(plan)
    too_many = [
        f"{count} {what} where {allowed} are allowed"
        for what, count in (("creates", counts.creates), ("updates", counts.updates), ("leavers", counts.leavers))
        if count > allowed
    ]
    return (*too_many, *(reason for feed in feeds if (reason := _shrunk(feed))))


def required_approval(plan: Plan, limits: Limits, accounts: int, feeds: Iterable[FeedSize]) -> Counts:
    """What an approval must cover: the counts that are too high, or all of them if a feed has shrunk."""
    counts = Counts.from_plan(plan)
    return counts if any(map(_shrunk, feeds)) else counts.beyond(limits.allowed(accounts))


def _shrunk(feed: FeedSize) -> str:
    if feed.rows == 0 and (feed.accounts or not feed.elsewhere):
        return f"feed {feed.name} returned no rows"
    if feed.rows * 2 < feed.accounts:
        return f"feed {feed.name} returned {feed.rows} rows where it had {feed.accounts} accounts"
    if feed.gone * 2 > feed.accounts:
        return f"feed {feed.name} no longer has {feed.gone} of the {feed.accounts} people it had"
    return ""

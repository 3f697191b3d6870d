"""Limits that a test is not about: a college in which nothing is too much, and which has created accounts before."""

from collections.abc import Mapping
from dataclasses import dataclass
from sys import maxsize
from typing import Final

from syncd.core.guard import Limits, Window
from syncd.core.run import Action, Outcome
from syncd.state import counters
from syncd.state.session import StateSession


@dataclass(frozen=True)
class FixedLimits(Limits):
    """Limits that are the same in a college of any size; those of a day and a week are never reached."""

    changes: int = maxsize
    """Of each kind, in one run."""

    def __init__(self, changes: int = maxsize) -> None:
        super().__init__()
        object.__setattr__(self, "changes", changes)

    def allowed(self, accounts: int, window: Window = Window.RUN) -> int:  # noqa: ARG002 - of any number
        """So many in one run."""
        return self.changes if window is Window.RUN else maxsize

    def allowed_people(self, people: int) -> int:  # noqa: ARG002 - of any number
        """Everybody."""
        return maxsize

    def allowed_alike(self, people: int) -> int:  # noqa: ARG002 - of any number
        """Everybody."""
        return maxsize


NO_LIMITS: Final = FixedLimits()

#: The highest limits of a configuration, for a first run that is approved and as many changes as there are accounts.
HIGHEST_LIMITS: Final[Mapping[str, int]] = {
    "percent": 1_000_000,
    "percent_day": 1_000_000,
    "percent_week": 1_000_000,
    "field_percent": 100,
}


def let_create(session: StateSession) -> None:
    """Have the guard take the next run for one that is not the first to create accounts."""
    counters.add(session.connection, session.organisation_id, counters.CHANGES, f"{Action.CREATE} {Outcome.APPLIED}", 0)

"""The labels of the pages: states, actions and reasons in words, and the tone each is shown in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.state.changes import Action, Outcome
from syncd.state.runs import RunState
from syncd.sync import reasons
from syncd.sync.run import Trigger


class Tone(StrEnum):
    """The colour of a badge; the words beside it say the same."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"
    BUSY = "busy"
    PLAIN = "plain"


STATES: Final[Mapping[str, tuple[str, Tone]]] = {
    RunState.RUNNING: ("in progress", Tone.BUSY),
    RunState.FINISHED: ("finished", Tone.GOOD),
    RunState.AWAITING_APPROVAL: ("waits for approval", Tone.WAITING),
    RunState.APPROVED: ("stopped, then approved", Tone.PLAIN),
    RunState.REJECTED: ("stopped, then rejected", Tone.PLAIN),
    RunState.SUPERSEDED: ("stopped, then outdated", Tone.PLAIN),
    RunState.INTERRUPTED: ("interrupted", Tone.WAITING),
    RunState.FAILED: ("failed", Tone.BAD),
}

TRIGGERS: Final[Mapping[str, str]] = {
    Trigger.SCHEDULE: "the schedule",
    Trigger.COMMAND: "syncd sync",
    Trigger.REQUEST: "a request",
    Trigger.LINK: "syncd link",
    Trigger.REKEY: "syncd rekey",
    Trigger.RESTORE: "syncd restore",
    Trigger.VERIFY: "syncd verify",
}

OUTCOMES: Final[Mapping[str, tuple[str, Tone]]] = {
    Outcome.PENDING: ("in progress", Tone.BUSY),
    Outcome.APPLIED: ("done", Tone.GOOD),
    Outcome.ACCEPTED: ("accepted, UserID to be found", Tone.BUSY),
    Outcome.REFUSED: ("refused", Tone.BAD),
    Outcome.IN_DOUBT: ("in doubt", Tone.WAITING),
    Outcome.NOT_DONE: ("not done", Tone.PLAIN),
}

STATUSES: Final[Mapping[str, tuple[str, Tone]]] = {
    Status.ACTIVE: ("active", Tone.GOOD),
    Status.LEAVER: ("leaver", Tone.WAITING),
    Status.ARCHIVED: ("archived", Tone.PLAIN),
    Status.UNSURE: ("archived or not: in doubt", Tone.WAITING),
    "": ("no account", Tone.PLAIN),
}

ACTIONS: Final[Mapping[str, str]] = {
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.LINK: "link",
    Action.ARCHIVE: "archive",
    Action.UNARCHIVE: "unarchive",
    Action.REKEY: "new MISID",
    Action.ASSIGN: "assign",
    "return": "returned",
    "leave": "left the MIS",
}

#: As everywhere else.
in_words: Final = reasons.describe

_PLURALS: Final[Mapping[str, str]] = {Role.IQA: "IQAs"}


def plural(role: str) -> str:
    """The plural of a role."""
    return _PLURALS.get(role, f"{role}s")


def counted(count: int, one: str, several: str = "") -> str:
    """A number with its noun, with thousands separators."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def listed(counts: Mapping[str, int]) -> str:
    """Numbers with their nouns, zeros left out."""
    said = [counted(count, noun) for noun, count in counts.items() if count]
    return " and ".join((", ".join(said[:-1]), said[-1]) if said[1:] else said) or "nothing"

"""What the pages call things: states, actions and reasons in words, and the tone each is shown in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from syncd.core.accounts import Status
from syncd.core.fields import Role
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.sync import reasons


class Tone(StrEnum):
    """How something is to be taken; the words beside it say the same."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"
    BUSY = "busy"
    PLAIN = "plain"


STATES: Final[Mapping[str, tuple[str, Tone]]] = {
    RunState.RUNNING: ("at work", Tone.BUSY),
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
    Trigger.VERIFY: "verifying",
}

OUTCOMES: Final[Mapping[str, tuple[str, Tone]]] = {
    Outcome.PENDING: ("under way", Tone.BUSY),
    Outcome.APPLIED: ("done", Tone.GOOD),
    Outcome.ACCEPTED: ("accepted, UserID to be found", Tone.BUSY),
    Outcome.REFUSED: ("refused", Tone.BAD),
    Outcome.IN_DOUBT: ("in doubt", Tone.WAITING),
    Outcome.NOT_DONE: ("not done", Tone.PLAIN),
}

STATUSES: Final[Mapping[str, tuple[str, Tone]]] = {
    Status.ACTIVE: ("in use", Tone.GOOD),
    Status.LEAVER: ("has left the MIS", Tone.WAITING),
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
    "return": "has come back",
    "leave": "has left the MIS",
}

#: As everywhere else.
in_words: Final = reasons.describe

_PLURALS: Final[Mapping[str, str]] = {Role.IQA: "IQAs"}


def plural(role: str) -> str:
    """The role of several people."""
    return _PLURALS.get(role, f"{role}s")


def counted(count: int, one: str, several: str = "") -> str:
    """A number with its noun, thousands set apart."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def listed(counts: Mapping[str, int]) -> str:
    """Numbers with their nouns, those left out of which there is nothing."""
    said = [counted(count, noun) for noun, count in counts.items() if count]
    return " and ".join((", ".join(said[:-1]), said[-1]) if said[1:] else said) or "nothing"

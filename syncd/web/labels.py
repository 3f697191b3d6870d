"""The labels of the pages: states, actions and reasons in words, and the tone each is shown in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from syncd.core.accounts import Status
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.core.text import plural, plurals
from syncd.sync import reasons

__all__ = [
    "ACTIONS",
    "OUTCOMES",
    "STATES",
    "STATUSES",
    "TRIGGERS",
    "Tone",
    "counts_in_words",
    "in_words",
    "plural",
]


class Tone(StrEnum):
    """The colour of a badge; the words beside it say the same."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"
    BUSY = "busy"
    PLAIN = "plain"


STATES: Final[Mapping[RunState, tuple[str, Tone]]] = {
    RunState.RUNNING: ("in progress", Tone.BUSY),
    RunState.FINISHED: ("finished", Tone.GOOD),
    RunState.AWAITING_APPROVAL: ("waits for approval", Tone.WAITING),
    RunState.APPROVED: ("stopped, then approved", Tone.PLAIN),
    RunState.REJECTED: ("stopped, then rejected", Tone.PLAIN),
    RunState.SUPERSEDED: ("stopped, then outdated", Tone.PLAIN),
    RunState.INTERRUPTED: ("interrupted", Tone.WAITING),
    RunState.FAILED: ("failed", Tone.BAD),
}

TRIGGERS: Final[Mapping[Trigger, str]] = {
    Trigger.SCHEDULE: "the schedule",
    Trigger.COMMAND: "syncd sync",
    Trigger.REQUEST: "a request",
    Trigger.LINK: "syncd link",
    Trigger.REKEY: "syncd rekey",
    Trigger.RESTORE: "syncd restore",
    Trigger.VERIFY: "syncd verify",
}

OUTCOMES: Final[Mapping[Outcome, tuple[str, Tone]]] = {
    Outcome.PENDING: ("in progress", Tone.BUSY),
    Outcome.APPLIED: ("done", Tone.GOOD),
    Outcome.ACCEPTED: ("accepted, UserID to be found", Tone.BUSY),
    Outcome.REFUSED: ("refused", Tone.BAD),
    Outcome.IN_DOUBT: ("in doubt", Tone.WAITING),
    Outcome.NOT_DONE: ("not done", Tone.PLAIN),
}

STATUSES: Final[Mapping[Status | None, tuple[str, Tone]]] = {
    Status.ACTIVE: ("active", Tone.GOOD),
    Status.LEAVER: ("leaver", Tone.WAITING),
    Status.ARCHIVED: ("archived", Tone.PLAIN),
    Status.UNSURE: ("archived or not: in doubt", Tone.WAITING),
    None: ("no account", Tone.PLAIN),
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

#: The same words as in the commands.
in_words: Final = reasons.describe


def counts_in_words(creates: int, updates: int, leavers: int) -> str:
    """The changes of a plan, such as "2 creates and 1 leaver"."""
    return plurals({"create": creates, "update": updates, "leaver": leavers}, none="nothing")

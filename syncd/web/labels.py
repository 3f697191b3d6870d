"""The labels of the pages: states, actions and reasons in words, and the tone each is shown in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from syncd.core.accounts import Status
from syncd.core.decisions import Decision, Part
from syncd.core.guard import ChangeKind, Counts
from syncd.core.identity import Answer
from syncd.core.records import Reason
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.core.text import plural, plurals
from syncd.sync import reasons

__all__ = [
    "ACTIONS",
    "ANSWERED",
    "ANSWERS",
    "DECISIONS",
    "OUTCOMES",
    "PARTS",
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
    Trigger.RELEASE: "syncd release",
    Trigger.RESTORE: "syncd restore",
    Trigger.VERIFY: "syncd verify",
    Trigger.UNDO: "an undo",
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
    "release": "release",
    "return": "returned",
    "leave": "left the MIS",
}

DECISIONS: Final[Mapping[Decision, tuple[str, Tone]]] = {
    Decision.ALLOWED: ("within the limits", Tone.PLAIN),
    Decision.APPROVED: ("approved", Tone.GOOD),
    Decision.UNDECIDED: ("waits for a decision", Tone.WAITING),
    Decision.REJECTED: ("rejected", Tone.BAD),
}

PARTS: Final[Mapping[Part, str]] = {
    Part.CREATES: "only creates",
    Part.UPDATES: "only updates",
    Part.LEAVERS: "only leavers",
}

#: An answer that the next run carries out.
ANSWERED: Final[Mapping[Answer, tuple[str, Tone]]] = {
    Answer.SAME: ("answered: the same person", Tone.BUSY),
    Answer.NEW: ("answered: new", Tone.BUSY),
}

#: What the answers to a question about a person mean, for one record.
ANSWERS: Final[Mapping[Answer, Mapping[Reason, str]]] = {
    Answer.SAME: {
        Reason.REKEYED: "The same person: keep the account",
        Reason.LOOKALIKE_KEY: "The same person: keep the account",
        Reason.HAS_AN_ACCOUNT: "The same person: use that account",
        Reason.ANOTHER_PERSON: "The same person: update the account",
    },
    Answer.NEW: {
        Reason.REKEYED: "A new person: create an account",
        Reason.LOOKALIKE_KEY: "A new person: create an account",
        Reason.HAS_AN_ACCOUNT: "A new person: create an account",
        Reason.ANOTHER_PERSON: "A new owner: release the account",
    },
}

#: The same words as in the commands.
in_words: Final = reasons.describe


def counts_in_words(counts: Counts) -> str:
    """The changes of a plan, such as "2 creates and 1 leaver"."""
    return plurals({kind.noun: counts.of(kind) for kind in ChangeKind}, none="nothing")

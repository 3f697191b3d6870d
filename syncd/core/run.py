"""The terms for a run and a change: what started it, its state, and its outcome. The store keeps them as text."""

from enum import StrEnum
from typing import Final


class Trigger(StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"
    COMMAND = "command"
    REQUEST = "request"
    LINK = "link"
    REKEY = "rekey"
    RELEASE = "release"
    RESTORE = "restore"
    VERIFY = "verify"
    UNDO = "undo"


#: An approval given to one of these also permits the next of any of them: all make the same plan from the MIS.
POLLS: Final = frozenset({Trigger.SCHEDULE, Trigger.COMMAND, Trigger.REQUEST})


class RunState(StrEnum):
    """The state of a run."""

    RUNNING = "running"
    FINISHED = "finished"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    """It was stopped and then approved: the next run may do as much."""
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    """It was stopped, and a later run has made a new plan."""
    INTERRUPTED = "interrupted"
    """The process ended before the run did; the next run continues."""
    FAILED = "failed"
    """It could not be completed; its reason says why."""


class FailureKind(StrEnum):
    """What made a run fail, by who can fix it."""

    NONE = ""
    MIS = "mis"
    ONEFILE = "onefile"
    CREDENTIALS = "credentials"
    OTHER = "other"


class OneFileStatus(StrEnum):
    """Whether OneFile answered a run that called it."""

    OK = "ok"
    UNREACHABLE = "unreachable"


class Action(StrEnum):
    """What a change does to an account."""

    CREATE = "create"
    UPDATE = "update"
    LINK = "link"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    REKEY = "rekey"
    ASSIGN = "assign"


class Outcome(StrEnum):
    """What is known about the result of a change."""

    PENDING = "pending"
    """The intent is stored; OneFile has not answered yet."""
    APPLIED = "applied"
    ACCEPTED = "accepted"
    """OneFile accepted a create without returning the UserID, which must be searched for."""
    REFUSED = "refused"
    IN_DOUBT = "in_doubt"
    """The answer was lost: the change may have been made."""
    NOT_DONE = "not_done"
    """It did not happen: OneFile never received it, or a search showed that the account does not exist."""

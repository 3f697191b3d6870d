"""What people are to be told: each trouble once, however long it lasts, and once that it is over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from syncd.core.records import Reason
from syncd.core.text import plural


class AlertKind(StrEnum):
    """What somebody may have to be told of."""

    APPROVAL = "awaiting_approval"
    CREDENTIALS = "credentials_refused"
    ONEFILE = "onefile_unreachable"
    MIS = "mis_unreachable"
    FAILING = "runs_failing"
    STORE = "store_unusable"
    DIGEST = "digest"
    """The records that are newly held; no trouble, and told of once a day."""


TROUBLES: Final = tuple(subject for subject in AlertKind if subject is not AlertKind.DIGEST)

#: What mends itself more often than not, and is worth telling of only when it lasts.
_TRANSIENT: Final = frozenset({AlertKind.ONEFILE, AlertKind.MIS, AlertKind.STORE})


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so now, and that somebody should know."""

    since: datetime
    reason: str
    """Why, in a sentence, or what of the plan is too large; nothing personal."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What is to be told, in words; of a trouble, or that it is over."""

    subject: AlertKind
    title: str
    body: str
    is_over: bool = False


def due_notifications(
    troubles: Mapping[AlertKind, Condition],
    told: Collection[AlertKind],
    now: datetime,
    patience: timedelta,
    zone: tzinfo,
) -> list[Notification]:
    """What somebody has yet to be told who was ``told`` of these subjects and not yet that they are over.

    Of a server that does not answer they are told once it has been so for as long as ``patience``.
    Moments are written in ``zone``.
    """
    news = [
        _notification(subject, troubles[subject], zone)
        for subject in TROUBLES
        if subject in troubles and subject not in told and _is_due(subject, troubles[subject], now, patience)
    ]
    return news + [_resolved(subject) for subject in TROUBLES if subject in told and subject not in troubles]


def digest(new: Mapping[Reason, int], held: int) -> Notification | None:
    """The notification of records that are held since the last digest, by reason; ``None`` if there are none.

    ``held`` is the number of held records in all.
    """
    number = sum(new.values())
    if not number:
        return None
    lines = [f"{count}: {reason.replace('_', ' ')}" for reason, count in sorted(new.items())]
    head = plural(number, "record is newly held", "records are newly held")
    rest = f"{plural(held, 'is', 'are')} held in all: 'syncd held' lists them, and says why."
    return Notification(AlertKind.DIGEST, head, "\n".join([*lines, "", rest]))


def test_notification() -> Notification:
    """What is sent to find out whether anything arrives."""
    return Notification(
        AlertKind.DIGEST, "This is a test", "If you can read this, syncd can tell you when it needs you.", True
    )


def _is_due(subject: AlertKind, trouble: Condition, now: datetime, patience: timedelta) -> bool:
    return subject not in _TRANSIENT or now - trouble.since >= patience


def _notification(subject: AlertKind, trouble: Condition, zone: tzinfo) -> Notification:
    since = f"{trouble.since.astimezone(zone):%d %b %Y %H:%M}"
    reason = trouble.reason.rstrip(".")
    match subject:
        case AlertKind.APPROVAL:
            title = "A run waits for approval"
            body = (
                f"It was stopped on {since} and has sent nothing: {reason}. "
                "'syncd plan' shows it; 'syncd approve' lets it go, and 'syncd reject' puts it aside."
            )
        case AlertKind.CREDENTIALS:
            title = "OneFile refuses the customer token"
            body = f"{reason}. Nobody is kept in step until that is put right; 'syncd doctor' checks it."
        case AlertKind.ONEFILE:
            title = f"OneFile has not answered since {since}"
            body = f"{reason}. Nothing is lost: syncd tries again by itself, and you are told when it answers."
        case AlertKind.MIS:
            title = f"The MIS has not answered since {since}"
            body = (
                f"{reason}. Nobody is taken for a leaver meanwhile, and nobody is kept in step; "
                "'syncd doctor' checks what syncd needs of it."
            )
        case AlertKind.STORE:
            title = f"The state store has been of no use since {since}"
            body = f"{reason}. Until that is put right syncd does nothing."
        case _:
            title = "Runs are failing"
            body = f"Since {since}: {reason}. 'syncd doctor' says what to put right."
    return Notification(subject, title, body)


#: What is said when it is over.
_OVER: Final = {
    AlertKind.APPROVAL: (
        "No run waits for approval any more",
        "It was settled, or the MIS no longer asks for so much.",
    ),
    AlertKind.CREDENTIALS: ("OneFile accepts the customer token again", "Runs go on from where they were."),
    AlertKind.ONEFILE: ("OneFile answers again", "What had to wait is being sent."),
    AlertKind.MIS: ("The MIS answers again", "Runs go on from where they were."),
    AlertKind.FAILING: ("Runs come to their end again", "There is nothing to do."),
    AlertKind.STORE: ("The state store can be used again", "Runs go on from where they were."),
}


def _resolved(subject: AlertKind) -> Notification:
    title, body = _OVER[subject]
    return Notification(subject, title, body, is_over=True)

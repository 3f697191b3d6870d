"""Which notifications are due: one when a problem starts, however long it lasts, and one when it is over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final, NamedTuple

from syncd.core.records import Reason
from syncd.core.text import plural


class AlertKind(StrEnum):
    """What a notification is about."""

    APPROVAL = "awaiting_approval"
    CREDENTIALS = "credentials_refused"
    ONEFILE = "onefile_unreachable"
    MIS = "mis_unreachable"
    SUSPENDED = "action_suspended"
    FAILING = "runs_failing"
    STORE = "state_store_unavailable"
    DIGEST = "digest"
    """The records that are newly held; not a problem, and sent once a day."""


TROUBLES: Final = tuple(subject for subject in AlertKind if subject is not AlertKind.DIGEST)

#: Problems that mostly resolve by themselves: notified only if they last.
_TRANSIENT: Final = frozenset({AlertKind.ONEFILE, AlertKind.MIS, AlertKind.STORE})


class Alert(NamedTuple):
    """What a channel is notified of once."""

    kind: AlertKind
    about: str = ""
    """Which one, if several of the kind may exist at a time: the suspended kind of change, such as "links of IQAs"."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A problem that exists now."""

    since: datetime
    reason: str
    """Why, in a sentence, or the guard's objections; no personal values."""


@dataclass(frozen=True, slots=True)
class Notification:
    """The text of a notification: a problem, or that it is over."""

    alert: Alert
    title: str
    body: str
    is_over: bool = False


def due_notifications(
    conditions: Mapping[Alert, Condition],
    sent: Collection[Alert],
    now: datetime,
    patience: timedelta,
    zone: tzinfo,
) -> list[Notification]:
    """Return the notifications due to a channel; ``sent`` are the problems that it has not seen resolved yet.

    A server that does not answer is notified after ``patience``. Times are written in ``zone``.
    """
    news = [
        _notification(alert, conditions[alert], zone)
        for alert in sorted(conditions.keys() - {*sent}, key=_order)
        if _is_due(alert, conditions[alert], now, patience)
    ]
    return news + [_resolved(alert) for alert in sorted({*sent} - conditions.keys(), key=_order)]


def digest(new: Mapping[Reason, int], held: int) -> Notification | None:
    """Return the digest of the records held since the last one, by reason; ``None`` if there are none.

    ``held`` is the number of all held records.
    """
    number = sum(new.values())
    if not number:
        return None
    lines = [f"{count}: {reason.replace('_', ' ')}" for reason, count in sorted(new.items())]
    head = plural(number, "record is newly held", "records are newly held")
    rest = f"{plural(held, 'is', 'are')} held in total: 'syncd held' lists them with their reasons."
    return Notification(Alert(AlertKind.DIGEST), head, "\n".join([*lines, "", rest]))


def test_notification() -> Notification:
    """The message of 'syncd notify test'."""
    return Notification(
        Alert(AlertKind.DIGEST), "This is a test", "If you can read this, syncd can send you notifications.", True
    )


def _order(alert: Alert) -> tuple[int, str]:
    return TROUBLES.index(alert.kind), alert.about


def _is_due(alert: Alert, condition: Condition, now: datetime, patience: timedelta) -> bool:
    return alert.kind not in _TRANSIENT or now - condition.since >= patience


def _notification(alert: Alert, condition: Condition, zone: tzinfo) -> Notification:
    since = f"{condition.since.astimezone(zone):%d %b %Y %H:%M}"
    reason = condition.reason.rstrip(".")
    match alert.kind:
        case AlertKind.APPROVAL:
            title = "A run waits for approval"
            body = (
                f"The guard stopped it on {since}, and only what is approved is sent: {reason}. "
                "'syncd plan' shows the plan; decide with 'syncd approve' or 'syncd reject'."
            )
        case AlertKind.CREDENTIALS:
            title = "OneFile refuses the customer token"
            body = f"{reason}. Accounts are not kept in sync until this is fixed; 'syncd doctor' checks it."
        case AlertKind.ONEFILE:
            title = f"OneFile has not answered since {since}"
            body = f"{reason}. Nothing is lost: syncd retries by itself and notifies you when OneFile answers."
        case AlertKind.MIS:
            title = f"The MIS has not answered since {since}"
            body = (
                f"{reason}. Until it answers, accounts are not kept in sync and no record is treated as a leaver; "
                "'syncd doctor' checks the connection."
            )
        case AlertKind.SUSPENDED:
            title = f"OneFile refuses {alert.about} again and again"
            body = (
                f"Since {since}: {reason}. Correct the cause in OneFile, or in the MIS or the feed's query. syncd "
                "sends the rest by itself once OneFile accepts one; 'syncd sync' tries one at once."
            )
        case AlertKind.STORE:
            title = f"The state store has been unavailable since {since}"
            body = f"{reason}. Until this is fixed, syncd makes no runs."
        case _:
            title = "Runs are failing"
            body = f"Since {since}: {reason}. 'syncd doctor' says what to correct."
    return Notification(alert, title, body)


#: Title and text when the problem is over; ``{about}`` stands for what the alert is about.
_OVER: Final = {
    AlertKind.APPROVAL: (
        "No run waits for approval any more",
        "The run was approved or rejected, or the plan became small enough.",
    ),
    AlertKind.CREDENTIALS: ("OneFile accepts the customer token again", "Runs continue."),
    AlertKind.ONEFILE: ("OneFile answers again", "Runs continue and send what waited."),
    AlertKind.MIS: ("The MIS answers again", "Runs continue."),
    AlertKind.SUSPENDED: (
        "OneFile no longer refuses {about} again and again",
        "What was queued is sent, or there is nothing left of it.",
    ),
    AlertKind.FAILING: ("Runs succeed again", "There is nothing to do."),
    AlertKind.STORE: ("The state store is available again", "Runs continue."),
}


def _resolved(alert: Alert) -> Notification:
    title, body = _OVER[alert.kind]
    return Notification(alert, title.replace("{about}", alert.about), body, is_over=True)

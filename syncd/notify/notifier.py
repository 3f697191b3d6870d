"""Sending notifications: a thread beside the runs compares current problems with what each channel was sent.

So no notification is sent twice, even after a restart, and none is lost if a service is down: it is still due at the
next check.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Final
from zoneinfo import ZoneInfo

import stamina
from structlog.typing import FilteringBoundLogger

from syncd.core.alerts import TROUBLES, Alert, AlertKind, Condition, Notification, digest, due_notifications
from syncd.core.schedule import When
from syncd.errors import NotTold, StateUnusable
from syncd.notify.channels import Channel
from syncd.state import held_records, notifications
from syncd.state.conditions import current_conditions
from syncd.state.db.store import Store
from syncd.state.session import reading_session, writing_session

_EVERY_SECONDS: Final = 30.0
_ATTEMPTS: Final = 3
_FIRST_PAUSE_SECONDS: Final = 1.0
#: Back-off of a channel that fails, longer each time.
_PAUSES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 60))
#: How long a message that is being sent may take once syncd is asked to stop.
_PATIENCE_AT_THE_END_SECONDS: Final = 5.0

_NEVER: Final = When()


@dataclass(frozen=True, slots=True)
class NotifyPolicy:
    """When to notify: how long a server may not answer, and when the digest of newly held records is sent."""

    patience: timedelta = timedelta(minutes=30)
    digest: When = _NEVER
    timezone: str = "UTC"

    def digest_is_due(self, last: datetime, now: datetime) -> bool:
        """Whether the time for a digest has come since the last one."""
        return bool(self.digest) and self.digest.after(last) <= now


@dataclass(slots=True)
class _Listener:
    address: Channel
    failures: int = 0
    not_before: datetime | None = None
    knows_of_store: set[Alert] = field(default_factory=set)
    """What it was sent while the store could not record it."""


class Notifier:
    """Notifies each channel of each organisation's problems, once each and when they are over, and of held records.

    ``clock`` returns the time in UTC. It never raises: a notification that cannot be sent is logged once and retried.
    Of several daemons, the leader notifies; each notifies of the state store itself, because none can lead without it.
    """

    def __init__(
        self,
        store: Store,
        organisations: Sequence[int],
        addresses: Sequence[Channel],
        occasions: NotifyPolicy,
        log: FilteringBoundLogger,
        clock: Callable[[], datetime],
        every_seconds: float = _EVERY_SECONDS,
    ) -> None:
        self._store = store
        self._organisations = organisations
        self._listeners = [_Listener(address) for address in addresses]
        self._occasions = occasions
        self._log = log
        self._clock = clock
        self._every_seconds = every_seconds
        self._wake = Event()
        self._is_over = Event()
        self._leads = False
        self._store_fails_since: datetime | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Check and notify in a thread for as long as the block lasts."""
        if not self._listeners:
            yield
            return
        thread = Thread(target=self._work, name="telling", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            self._wake.set()
            thread.join(_PATIENCE_AT_THE_END_SECONDS)

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Notify of the organisations too for as long as the block lasts."""
        self._leads = True
        self._wake.set()
        try:
            yield
        finally:
            self._leads = False

    def check_soon(self) -> None:
        """Check now, because something may have changed; returns at once."""
        self._wake.set()

    def check(self) -> None:
        """Send the notifications that are due."""
        try:
            if self._leads:
                for organisation_id in self._organisations:
                    self._look_at(organisation_id)
            else:
                self._store.check_writable()
        except StateUnusable as problem:
            self._store_fails_since = self._store_fails_since or self._clock()
            self._report_store({Alert(AlertKind.STORE): Condition(self._store_fails_since, str(problem))})
        else:
            self._store_fails_since = None
            self._report_store({})

    def _work(self) -> None:
        while not self._is_over.is_set():
            # A change during the check triggers the next check.
            self._wake.clear()
            try:
                self.check()
            except Exception as problem:  # noqa: BLE001 - the next check may succeed
                self._log.error("notification_failed", reason=f"unexpected {type(problem).__name__}")
            self._wake.wait(self._every_seconds)

    def _look_at(self, organisation_id: int) -> None:
        now = self._clock()
        with writing_session(self._store, organisation_id, self._clock) as session:
            notifications.forget_others(session, [one.address.key for one in self._listeners])
            conditions = current_conditions(session)
        for listener in self._listeners:
            with reading_session(self._store, organisation_id, self._clock) as session:
                known = notifications.sent_to(session, listener.address.key)
            self._send_notifications(organisation_id, listener, conditions, known, now)
            self._send_digest(organisation_id, listener, known.get(Alert(AlertKind.DIGEST)), now)

    def _send_notifications(
        self,
        organisation_id: int,
        listener: _Listener,
        conditions: Mapping[Alert, Condition],
        known: Mapping[Alert, datetime],
        now: datetime,
    ) -> None:
        sent = [alert for alert in known if alert.kind in TROUBLES]
        for notice in due_notifications(
            conditions, sent, now, self._occasions.patience, ZoneInfo(self._occasions.timezone)
        ):
            if self._send_once(listener, notice, organisation_id):
                with writing_session(self._store, organisation_id, self._clock) as session:
                    if notice.is_over:
                        notifications.forget(session, listener.address.key, notice.alert)
                    else:
                        notifications.record_sent(session, listener.address.key, notice.alert, now)

    def _send_digest(self, organisation_id: int, listener: _Listener, last: datetime | None, now: datetime) -> None:
        """Once a day, what is newly held since the first check; records held before that are not new."""
        if not self._occasions.digest:
            return
        if last is not None and not self._occasions.digest_is_due(last, now):
            return
        with reading_session(self._store, organisation_id, self._clock) as session:
            new = held_records.new_between(session, last, now) if last else {}
            held, _ = held_records.counts(session)
        notice = digest(new, held.total())
        if notice is None or self._send_once(listener, notice, organisation_id):
            with writing_session(self._store, organisation_id, self._clock) as session:
                notifications.record_sent(session, listener.address.key, Alert(AlertKind.DIGEST), now)

    def _report_store(self, conditions: Mapping[Alert, Condition]) -> None:
        """Notify of the state store itself, which cannot record that meanwhile."""
        occasions = self._occasions
        for listener in self._listeners:
            known, zone = listener.knows_of_store, ZoneInfo(occasions.timezone)
            for notice in due_notifications(conditions, known, self._clock(), occasions.patience, zone):
                if self._send_once(listener, notice):
                    (known.discard if notice.is_over else known.add)(notice.alert)

    def _send_once(self, listener: _Listener, notice: Notification, organisation_id: int | None = None) -> bool:
        """Send it, unless syncd is stopping or the channel's back-off has not passed."""
        if self._is_over.is_set() or (listener.not_before and self._clock() < listener.not_before):
            return False
        whose = str(organisation_id) if organisation_id and len(self._organisations) > 1 else ""
        try:
            send(listener.address, notice, whose)
        except NotTold as problem:
            if not listener.failures:
                self._log.warning("notification_failed", subject=notice.alert.kind, reason=str(problem))
            listener.not_before = self._clock() + _PAUSES[min(listener.failures, len(_PAUSES) - 1)]
            listener.failures += 1
            return False
        self._log.info(
            "notification_sent", subject=notice.alert.kind, is_over=notice.is_over, address=listener.address.name
        )
        listener.failures, listener.not_before = 0, None
        return True


def send(address: Channel, notice: Notification, whose: str = "") -> None:
    """Send a notification, with a few retries. Raises `NotTold`."""
    for attempt in stamina.retry_context(
        on=NotTold, attempts=_ATTEMPTS, timeout=None, wait_initial=_FIRST_PAUSE_SECONDS
    ):
        with attempt:
            address.send(notice, whose)


class NullNotifier:
    """Sends nothing."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Check nothing."""
        yield

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Send nothing while leading either."""
        yield

    def check_soon(self) -> None:
        """Check nothing."""

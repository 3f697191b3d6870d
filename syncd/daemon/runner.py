"""The daemon's runs: one at a time, on schedule or on request."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from threading import Condition, Event
from typing import Final

from syncd.core.run import Trigger
from syncd.daemon.config import DaemonConfig, DailyJob
from syncd.errors import Interrupted, OneFileUnreachable, StateUnusable, SyncdError
from syncd.onefile import Yielded
from syncd.operations.verify import VerifyProgress, verify_once
from syncd.state import resync_requests
from syncd.state.db.lock import Purpose, locked_when_free
from syncd.state.session import writing_session
from syncd.sync.context import SyncContext
from syncd.sync.resync import ResyncWaiting, answer
from syncd.sync.run import run_once

#: How often to check whether the lock is free.
_LOOK_AGAIN_SECONDS: Final = 1.0


class PriorityLock:
    """A lock for one thread at a time; a patient thread lets all others go first."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._is_taken = False
        self._waiting = 0

    @contextmanager
    def turn(self, *, is_patient: bool = False) -> Iterator[None]:
        """Wait for the lock, and hold it for as long as the block lasts."""
        with self._changed:
            self._waiting += not is_patient
            self._changed.wait_for(lambda: not self._is_taken and not (is_patient and self._waiting))
            self._waiting -= not is_patient
            self._is_taken = True
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()

    @property
    def has_waiting(self) -> bool:
        """Whether a thread that is not patient waits."""
        return self._waiting > 0

    @property
    def is_taken(self) -> bool:
        """Whether a thread holds it."""
        return self._is_taken


class Ending(Enum):
    """How the run of an organisation has ended."""

    COMPLETE = auto()
    """It came to its end; it may have been stopped by the guard, or asked to wait for the next one."""
    FAILED = auto()
    """It could not be made, for a reason that it has logged."""
    RETRY_SOON = auto()
    """It could not be made, because OneFile is down."""


class Runner:
    """The runs of a daemon's organisations. Any thread may ask for one; they are made one after the other.

    ``stopping`` ends the run in progress, and every wait. ``asked`` is set to ask for a run of every record.
    ``on_run_over`` is called after each run.
    """

    def __init__(
        self, orders: DaemonConfig, stopping: Event, asked: Event, on_run_over: Callable[[], None] = lambda: None
    ) -> None:
        self.orders = orders
        """The configuration of the runs started from now on."""
        self._stopping = stopping
        self._asked = asked
        self._on_run_over = on_run_over
        self._turns = PriorityLock()
        main = orders.turns[0]
        self._store, self._log, self._clock = main.store, main.log, main.clock
        self._organisations = [context.organisation_id for context in orders.turns]
        self._urgency = ResyncWaiting(self._store, self._organisations, self._clock)

    def poll(self) -> bool:
        """Make a run of every organisation; returns false if OneFile is down and one should be retried soon."""
        endings = self._of_all(lambda context: run_once(context, Trigger.SCHEDULE))
        if endings == {Ending.COMPLETE}:
            self.orders.heartbeat()
        return Ending.RETRY_SOON not in endings

    def verify(self) -> bool:
        """Verify every organisation, which may take hours: polls and requests go ahead of the rest of it.

        Returns what `poll` does.
        """
        so_far: defaultdict[int, VerifyProgress] = defaultdict(VerifyProgress)

        def work(context: SyncContext) -> None:
            context = replace(context, should_yield=lambda: self._turns.has_waiting)
            verify_once(context, Trigger.VERIFY, so_far=so_far[context.organisation_id])

        return Ending.RETRY_SOON not in self._of_all(work, is_patient=True)

    def answer_requests(self) -> None:
        """Make a run of every organisation with a waiting request; in a quiet window requests keep waiting."""
        self.forward_requests()
        if self.seconds_of_quiet():
            return
        # The polls report a store that cannot be reached.
        with suppress(StateUnusable):
            with self._store.reading() as connection:
                asked_for = resync_requests.organisations_waiting(connection)
            for each in self._organisations:
                if each in asked_for:
                    self._run_until_done(each, answer)

    def _yield_to_requests(self) -> None:
        """Make the requested runs that a longer run has yielded to."""
        for each in self._organisations:
            self._run_until_done(each, partial(answer, named_only=True))
        self._urgency.record_yielded()

    def forward_requests(self) -> None:
        """Pass a request to this process on to the store, and so to the daemon that has the lead."""
        if not self._asked.is_set():
            return
        self._asked.clear()
        try:
            with writing_session(self._store, self._organisations[0], self._clock) as session:
                for each in self._organisations:
                    resync_requests.add(session.for_organisation(each), "signal")
        except StateUnusable:
            self._asked.set()

    def do(self, daily: DailyJob) -> None:
        """Run a daily job; if it raises, the others still run, and it is tried again the next day."""
        try:
            daily.work(self._store, self._clock())
        except StateUnusable as problem:
            self._log.error("daily_job_failed", job=daily.name, reason=str(problem))
        except Exception as problem:  # noqa: BLE001 - the next day may fare better
            self._log.error("daily_job_failed", job=daily.name, reason=f"unexpected {type(problem).__name__}")

    def seconds_of_quiet(self) -> float:
        """How many seconds the current quiet window still lasts; 0 outside one."""
        return self.orders.turns[0].onefile.rate_limiter.seconds_of_quiet()

    def release(self, retired: list[DaemonConfig]) -> None:
        """Close retired configurations, unless a run is in progress, which may still use one."""
        while retired and not self._turns.is_taken:
            retired.pop().close()

    def _of_all(self, work: Callable[[SyncContext], object], *, is_patient: bool = False) -> set[Ending]:
        """Run every organisation, even if another one's run fails."""
        return {self._run_until_done(each, work, is_patient=is_patient) for each in self._organisations}

    def _run_until_done(
        self, organisation_id: int, work: Callable[[SyncContext], object], *, is_patient: bool = False
    ) -> Ending:
        """Do it once, and again each time it yields."""
        while not self._stopping.is_set():
            try:
                return self._run_until_yield(organisation_id, work, is_patient=is_patient)
            except Yielded:
                # A patient run yields to threads that already wait to make their runs.
                if not is_patient:
                    self._yield_to_requests()
        return Ending.FAILED

    def _run_until_yield(
        self, organisation_id: int, work: Callable[[SyncContext], object], *, is_patient: bool
    ) -> Ending:
        try:
            # Two organisations have two locks in the store, but still run one after the other.
            with (
                self._turns.turn(is_patient=is_patient),
                locked_when_free(self._store, organisation_id, Purpose.WRITING, self._wait),
            ):
                context = self.orders.for_organisation(organisation_id)
                work(replace(context, should_yield=self._urgency))
                return Ending.COMPLETE
        except Yielded:
            raise
        except OneFileUnreachable:
            return Ending.RETRY_SOON
        except StateUnusable as problem:
            self._failed(organisation_id, str(problem))
        except (SyncdError, Interrupted):
            # The run has logged its own end.
            pass
        except Exception as problem:  # noqa: BLE001 - the next poll may fare better
            self._failed(organisation_id, f"unexpected {type(problem).__name__}")
        finally:
            self._on_run_over()
        return Ending.FAILED

    def _failed(self, organisation_id: int, reason: str) -> None:
        # No traceback: it may quote values.
        self._log.error("poll_failed", organisation_id=organisation_id, reason=reason)

    def _wait(self) -> None:
        if self._stopping.wait(_LOOK_AGAIN_SECONDS):
            raise Interrupted

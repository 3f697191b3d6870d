"""What a daemon does: one run at a time, on schedule or for those who ask."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from threading import Condition, Event
from typing import Final

from syncd.core.run import Trigger
from syncd.daemon.config import DaemonConfig, DailyJob
from syncd.errors import OneFileUnreachable, StateUnusable, SyncdError
from syncd.onefile import Interrupted, Yielded
from syncd.operations.verify import VerifyProgress, verify_once
from syncd.state import resync_requests
from syncd.state.db.lock import Purpose, locked_when_free
from syncd.state.session import writing_session
from syncd.sync.context import SyncContext
from syncd.sync.resync import ResyncWaiting, answer
from syncd.sync.run import run_once

#: How often one looks whether the lock is free.
_LOOK_AGAIN_SECONDS: Final = 1.0


class PriorityLock:
    """One at a time has its turn; whoever is patient lets everybody else go first."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._is_taken = False
        self._waiting = 0

    @contextmanager
    def turn(self, *, is_patient: bool = False) -> Iterator[None]:
        """Wait for one's turn, and have it for as long as the block lasts."""
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
        """Whether somebody who is not patient waits."""
        return self._waiting > 0

    @property
    def is_taken(self) -> bool:
        """Whether somebody has it."""
        return self._is_taken


class Runner:
    """The runs of a daemon's organisations. Any thread may ask for one; they are made one after the other.

    ``stopping`` ends the run that is at work, and every wait. ``asked`` is set to ask for a run of everybody.
    ``on_run_over`` is told after each.
    """

    def __init__(
        self, orders: DaemonConfig, stopping: Event, asked: Event, on_run_over: Callable[[], None] = lambda: None
    ) -> None:
        self.orders = orders
        """What runs go by that are begun from now on."""
        self._stopping = stopping
        self._asked = asked
        self._on_run_over = on_run_over
        self._turns = PriorityLock()
        main = orders.turns[0]
        self._store, self._log, self._clock = main.store, main.log, main.clock
        self._organisations = [context.organisation_id for context in orders.turns]
        self._urgency = ResyncWaiting(self._store, self._organisations, self._clock)

    def poll(self) -> bool:
        """Make a run of every organisation; false when one is worth making again soon, for OneFile is down."""
        return self._of_all(lambda context: run_once(context, Trigger.SCHEDULE))

    def verify(self) -> bool:
        """The same for what OneFile holds, which may take hours: polls and requests go ahead of what is left of it."""
        so_far: defaultdict[int, VerifyProgress] = defaultdict(VerifyProgress)

        def work(context: SyncContext) -> None:
            context = replace(context, should_yield=lambda: self._turns.has_waiting)
            verify_once(context, Trigger.VERIFY, so_far=so_far[context.organisation_id])

        return self._of_all(work, is_patient=True)

    def answer_requests(self) -> None:
        """Make a run of every organisation of which somebody waits for one; in a quiet window they wait on."""
        self.forward_requests()
        if self.seconds_of_quiet():
            return
        # That the store cannot be reached is for the polls to say.
        with suppress(StateUnusable):
            with self._store.reading() as connection:
                asked_for = resync_requests.organisations_waiting(connection)
            for each in self._organisations:
                if each in asked_for:
                    self._run_until_done(each, answer)

    def _yield_to_requests(self) -> None:
        """Make the runs for which a longer one has given way."""
        for each in self._organisations:
            self._run_until_done(each, partial(answer, named_only=True))
        self._urgency.record_yielded()

    def forward_requests(self) -> None:
        """Whoever asks this process asks the store, and so whichever daemon works."""
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
        """Do what is done every day; whatever it raises, the others are done and it is tried again the next day."""
        try:
            daily.work(self._store, self._clock())
        except StateUnusable as problem:
            self._log.error("daily_job_failed", job=daily.name, reason=str(problem))
        except Exception as problem:  # noqa: BLE001 - the next day may fare better
            self._log.error("daily_job_failed", job=daily.name, reason=f"unexpected {type(problem).__name__}")

    def seconds_of_quiet(self) -> float:
        """How long no call leaves, because of the time of day."""
        return self.orders.turns[0].onefile.rate_limiter.seconds_of_quiet()

    def release(self, retired: list[DaemonConfig]) -> None:
        """Close what no run goes by any more: everything, unless one is at work, which may have begun by it."""
        while retired and not self._turns.is_taken:
            retired.pop().close()

    def _of_all(self, work: Callable[[SyncContext], object], *, is_patient: bool = False) -> bool:
        """Each has its turn, whatever has become of the others'."""
        outcomes = [self._run_until_done(each, work, is_patient=is_patient) for each in self._organisations]
        return all(outcomes)

    def _run_until_done(
        self, organisation_id: int, work: Callable[[SyncContext], object], *, is_patient: bool = False
    ) -> bool:
        """Do it once, and once more whenever it has given way; false when it is worth trying again soon."""
        while not self._stopping.is_set():
            try:
                return self._run_until_yield(organisation_id, work, is_patient=is_patient)
            except Yielded:
                # For whoever is patient they are waiting already.
                if not is_patient:
                    self._yield_to_requests()
        return True

    def _run_until_yield(
        self, organisation_id: int, work: Callable[[SyncContext], object], *, is_patient: bool
    ) -> bool:
        try:
            # Two organisations have two locks in the store, and still their turns one after the other.
            with (
                self._turns.turn(is_patient=is_patient),
                locked_when_free(self._store, organisation_id, Purpose.WRITING, self._wait),
            ):
                context = self.orders.for_organisation(organisation_id)
                work(replace(context, should_yield=self._urgency))
        except Yielded:
            raise
        except OneFileUnreachable:
            return False
        except StateUnusable as problem:
            self._failed(organisation_id, str(problem))
        except (SyncdError, Interrupted):
            # The run has logged its own end.
            pass
        except Exception as problem:  # noqa: BLE001 - the next poll may fare better
            self._failed(organisation_id, f"unexpected {type(problem).__name__}")
        finally:
            self._on_run_over()
        return True

    def _failed(self, organisation_id: int, reason: str) -> None:
        # Without a traceback, which may quote values.
        self._log.error("poll_failed", organisation_id=organisation_id, reason=reason)

    def _wait(self) -> None:
        if self._stopping.wait(_LOOK_AGAIN_SECONDS):
            raise Interrupted

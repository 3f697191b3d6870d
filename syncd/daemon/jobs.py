"""The daemon's jobs: an APScheduler that follows `When`, notices clock changes, and can be waited for."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from syncd.core.schedule import When

#: More than there are kinds of jobs, so that a job that waits for its turn does not block another.
_MOST_JOBS: Final = 16
#: Instances of one job; all but one only notice that the job is running.
_MOST_INSTANCES: Final = 8
#: A smaller jump is a clock being adjusted, or a busy machine.
_CLOCK_TOLERANCE: Final = timedelta(seconds=2)


class Jobs:
    """Jobs that run when they are due, each in a thread of its own and never twice at the same time.

    A job that falls due while it is still running runs again afterwards, and one that falls due while the machine
    sleeps runs when it wakes; in both cases once, however often it was due. ``clock`` returns the time in UTC, and
    must be the system clock; ``monotonic`` returns seconds that do not change when that clock is set.
    """

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._looked_at = clock(), monotonic()
        # In a zone whose hour from one to two repeats, APScheduler would take the second for the first.
        self._scheduler = _Scheduler(timezone=UTC)
        self._lock = Lock()
        self._at_work: set[str] = set()
        self._due_again: set[str] = set()
        self._is_ending = False
        self._pool: Executor = ThreadPoolExecutor(_MOST_JOBS, "job")
        self._scheduler.add_executor(_After(self._pool))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the jobs for as long as the block lasts; at its end, wait for those in progress."""
        self._scheduler.start()
        try:
            yield
        finally:
            self._is_ending = True
            # If the scheduler waited for its jobs itself, a job that calls `postpone` would deadlock with it.
            with suppress(Exception):
                self._scheduler.shutdown(wait=False)
            self._pool.shutdown(wait=True)

    def add(self, name: str, work: Callable[[], None], when: When, first: datetime | None = None) -> None:
        """Add a job; it runs whenever it is due, and for the first time at ``first`` if that is set.

        A job with the same name is replaced; if it has the same times, the next time stays as it was.
        """
        old = self._scheduler.get_job(name)
        if first is not None:
            next_ = first
        elif old is not None and old.trigger.when == when:
            next_ = old.next_run_time
        else:
            next_ = when.first_after(self._clock())
        self._scheduler.add_job(
            self._do,
            _DueTrigger(when, begins=first),
            args=(name, work),
            id=name,
            next_run_time=next_,
            max_instances=_MOST_INSTANCES,
            coalesce=True,
            misfire_grace_time=None,
            replace_existing=True,
        )

    def remove(self, name: str) -> None:
        """Remove a job."""
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)

    def due(self, name: str) -> datetime | None:
        """When a job is next due; ``None`` if there is no such job."""
        job: Job | None = self._scheduler.get_job(name)
        due: datetime | None = getattr(job, "next_run_time", None)
        return due

    def postpone(self, name: str, until: datetime) -> None:
        """Run a job at this time instead of when it is due; after that on its schedule again."""
        with self._lock:
            self._due_again.discard(name)
        with suppress(JobLookupError):
            self._scheduler.modify_job(name, next_run_time=until)

    def _do(self, name: str, work: Callable[[], None]) -> None:
        with self._lock:
            if name in self._at_work:
                self._due_again.add(name)
                return
            self._at_work.add(name)
        try:
            work()
            while self._is_due_again(name):
                work()
        except BaseException:
            # APScheduler logs it, and the job runs when it is due again.
            with self._lock:
                self._at_work.discard(name)
            raise

    def _is_due_again(self, name: str) -> bool:
        """Whether the job fell due while it ran; if not, it is no longer marked as running."""
        with self._lock:
            is_due = name in self._due_again and not self._is_ending
            self._due_again.discard(name)
            if not is_due:
                self._at_work.discard(name)
            return is_due

    @property
    def are_alive(self) -> bool:
        """Whether the scheduler is still running."""
        return self._scheduler.is_alive

    def check_clock(self) -> timedelta:
        """Check whether the clock was set, or the machine asleep, since the last check; returns by how much.

        If the clock was set back, jobs do not wait for the time to come again. Call it every few seconds. Jobs that
        fell due while the machine slept run as soon as any job is due after it wakes, by a clock that stood still
        meanwhile.
        """
        (then, ticks_then), (now, ticks) = self._looked_at, (self._clock(), self._monotonic())
        self._looked_at = now, ticks
        by = (now - then) - timedelta(seconds=ticks - ticks_then)
        if by < -_CLOCK_TOLERANCE:
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=job.trigger.when.set_back(job.next_run_time, now, -by))
        return by if abs(by) > _CLOCK_TOLERANCE else timedelta()


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]
    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


class _After(BasePoolExecutor):  # type: ignore[misc]
    """Runs jobs in an existing pool."""

    def __init__(self, pool: Executor) -> None:
        super().__init__(pool)


class _DueTrigger(BaseTrigger):  # type: ignore[misc]
    """`When`, for APScheduler."""

    def __init__(self, when: When, begins: datetime | None) -> None:
        self.when = when
        self._begins = begins

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        previous = previous_fire_time or now
        following = self.when.first_after(previous) if previous == self._begins else self.when.after(previous)
        # Times missed while the machine slept count as one, so they are skipped rather than returned one by one.
        return following if following > now else self.when.after(now)

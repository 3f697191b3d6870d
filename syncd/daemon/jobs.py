"""The daemon's jobs: an APScheduler that goes by `When`, minds a clock that is set, and can be waited for."""

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

#: More than there are kinds of jobs: one that waits for its turn is in no other one's way.
_MOST_JOBS: Final = 16
#: Of one job, of which all but one only see that one is at work.
_MOST_INSTANCES: Final = 8
#: A clock that is off by less is one that is being put right, or a machine that is busy.
_CLOCK_TOLERANCE: Final = timedelta(seconds=2)


class Jobs:
    """Jobs that are done when they are due, each in a thread of its own and never twice at the same time.

    What falls due while it is still being done is made up for after it, and what falls due while a machine sleeps is
    done when it wakes; in both cases once, however often it was. ``clock`` gives the time in UTC, and must be
    the one that the machine goes by; ``monotonic`` gives seconds that go on whatever becomes of that.
    """

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._looked_at = clock(), monotonic()
        # In a zone with two hours from one to two APScheduler would take the second for the first.
        self._scheduler = _Scheduler(timezone=UTC)
        self._lock = Lock()
        self._at_work: set[str] = set()
        self._due_again: set[str] = set()
        self._is_ending = False
        self._pool: Executor = ThreadPoolExecutor(_MOST_JOBS, "job")
        self._scheduler.add_executor(_After(self._pool))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Do the jobs for as long as the block lasts; those that are being done at its end are waited for."""
        self._scheduler.start()
        try:
            yield
        finally:
            self._is_ending = True
            # Were the scheduler to wait for its jobs itself, a job that wants to be put off would wait for it.
            with suppress(Exception):
                self._scheduler.shutdown(wait=False)
            self._pool.shutdown(wait=True)

    def add(self, name: str, work: Callable[[], None], when: When, first: datetime | None = None) -> None:
        """Do something whenever it is due; the first time at a moment if one is given.

        What has the same name is replaced; if it was due at the same times, it is done next when it would have been.
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
        """Do it no more."""
        with suppress(JobLookupError):
            self._scheduler.remove_job(name)

    def due(self, name: str) -> datetime | None:
        """When something is done next; ``None`` for what is not done."""
        job: Job | None = self._scheduler.get_job(name)
        due: datetime | None = getattr(job, "next_run_time", None)
        return due

    def postpone(self, name: str, until: datetime) -> None:
        """Do it then, and not when it would be due; after that as ever."""
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
            # APScheduler logs it, and it is done when it is due again.
            with self._lock:
                self._at_work.discard(name)
            raise

    def _is_due_again(self, name: str) -> bool:
        """Whether it fell due while it was done; if not, it is done with."""
        with self._lock:
            is_due = name in self._due_again and not self._is_ending
            self._due_again.discard(name)
            if not is_due:
                self._at_work.discard(name)
            return is_due

    @property
    def are_alive(self) -> bool:
        """Whether anything will ever be done again."""
        return self._scheduler.is_alive

    def check_clock(self) -> timedelta:
        """Look whether the clock was set, or the machine asleep, since one last looked; gives by how much it was.

        Nothing then waits for an hour to come again. To be called every few seconds. What fell due while the machine
        slept is done as soon as any job is due after it has woken: by a clock that stood still meanwhile.
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
    """Does jobs in a pool that is there already."""

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
        # What a machine has slept through is done once, and need not be gone through time by time.
        return following if following > now else self.when.after(now)

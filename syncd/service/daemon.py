"""The daemon's life: take over, look again and again, finish what is in flight, leave."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd.errors import OneFileUnreachable, StateUnusable, SyncdError
from syncd.onefile import Interrupted
from syncd.state import daemons
from syncd.state.lock import Lock, Purpose, locked_when_free
from syncd.sync.one_pass import Trigger, run_once
from syncd.sync.parts import Parts
from syncd.sync.verifying import verify_once

#: How often a daemon that waits looks whether its turn has come.
_LOOK_AGAIN_SECONDS: Final = 1.0


#: How long it leaves a OneFile alone that is down, longer each time.
PAUSES_SECONDS: Final = (30.0, 60.0, 120.0, 240.0, 480.0, 900.0)


@dataclass(frozen=True, slots=True)
class When:
    """When to do something: five cron fields, or an interval if one is given; neither is never."""

    cron: str = ""
    interval: timedelta | None = None

    def __bool__(self) -> bool:
        return bool(self.cron)

    def trigger(self, timezone: str) -> BaseTrigger:
        """The same for APScheduler."""
        if self.interval is not None:
            return IntervalTrigger(seconds=int(self.interval.total_seconds()), timezone=timezone)
        return CronTrigger.from_crontab(self.cron, timezone=timezone)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to poll and when to verify, in a time zone."""

    poll: When
    verify: When
    timezone: str


class Daemon:
    """Polls on a schedule until told to stop; of several on one store one works and the others wait.

    ``stopping`` is the event that tells it to, and that ends every wait within. ``pauses`` are the seconds between two
    tries while OneFile is down, the last one again and again.
    """

    def __init__(
        self, parts: Parts, schedule: Schedule, stopping: Event, pauses: Sequence[float] = PAUSES_SECONDS
    ) -> None:
        self._parts = parts
        self._pauses = pauses
        self._schedule = schedule
        self._stopping = stopping
        self._scheduler = BackgroundScheduler(timezone=schedule.timezone)
        self._job: Job | None = None

    def live(self) -> None:
        """Work until told to stop; calls in flight are finished then. Raises `StateUnusable`."""
        log, schedule = self._parts.log, self._schedule
        with ExitStack() as stack:
            try:
                stack.enter_context(self._locked(Purpose.LEADING))
            except Interrupted:
                return
            with self._parts.store.begin() as connection:
                daemons.arrive(
                    connection, self._parts.organisation_id, socket.gethostname(), os.getpid(), self._parts.clock()
                )
            stack.callback(self._leave)
            log.info(
                "daemon_started",
                poll=schedule.poll.cron,
                verify=schedule.verify.cron,
                timezone=schedule.timezone,
                feeds=len(self._parts.feeds),
            )
            stack.callback(log.info, "daemon_stopped")
            self._work_until_stopped()

    def _work_until_stopped(self) -> None:
        if self._schedule.poll:
            self._job = self._add(self._poll, self._schedule.poll, next_run_time=self._parts.clock())
        if self._schedule.verify:
            self._add(self._verify, self._schedule.verify)
        self._scheduler.start()
        try:
            self._stopping.wait()
        finally:
            self._scheduler.shutdown(wait=True)

    def _add(self, work: Callable[[], None], when: When, **options: datetime) -> Job:
        # What falls due while it is still at work is made up for once, after it.
        return self._scheduler.add_job(
            work,
            when.trigger(self._schedule.timezone),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            **options,
        )

    def _poll(self) -> None:
        self._until_onefile_answers(lambda: run_once(self._parts, Trigger.SCHEDULE))
        self._note_next_run()

    def _verify(self) -> None:
        self._until_onefile_answers(lambda: verify_once(self._parts, Trigger.VERIFY))

    def _until_onefile_answers(self, work: Callable[[], object]) -> None:
        """Do it, and while OneFile is down try again, less and less often; the lock is let go meanwhile."""
        pauses = iter(self._pauses)
        pause = 0.0
        while not self._is_over(work):
            pause = next(pauses, pause)
            if self._stopping.wait(pause):
                return

    def _is_over(self, work: Callable[[], object]) -> bool:
        """Do it once; false when it is worth trying again soon."""
        log = self._parts.log
        try:
            with self._locked(Purpose.WRITING):
                work()
        except OneFileUnreachable:
            return False
        except StateUnusable as problem:
            log.error("poll_failed", reason=str(problem))  # noqa: TRY400 - a traceback may quote values
        except (SyncdError, Interrupted):
            # The run has logged its own end.
            pass
        except Exception as problem:  # noqa: BLE001 - the next poll may fare better
            log.error("poll_failed", reason=f"unexpected {type(problem).__name__}")  # noqa: TRY400
        return True

    def _note_next_run(self) -> None:
        # Asking the scheduler would wait for ever when it is shutting down, as it then waits for this job.
        next_run_at = self._job.next_run_time if self._job else None
        with suppress(StateUnusable), self._parts.store.begin() as connection:
            daemons.note_next_run(connection, self._parts.organisation_id, next_run_at)

    def _leave(self) -> None:
        with suppress(StateUnusable), self._parts.store.begin() as connection:
            daemons.leave(connection, self._parts.organisation_id)

    def _locked(self, purpose: Purpose) -> AbstractContextManager[Lock]:
        return locked_when_free(self._parts.store, self._parts.organisation_id, purpose, self._wait)

    def _wait(self) -> None:
        if self._stopping.wait(_LOOK_AGAIN_SECONDS):
            raise Interrupted

"""The daemon's life: take over, look again and again, finish what is in flight, leave."""

import os
import socket
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import Final

from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd.errors import StateUnusable, SyncdError
from syncd.onefile import Interrupted
from syncd.state import daemons
from syncd.state.lock import Lock, Purpose, locked_when_free
from syncd.sync.one_pass import Trigger, run_once
from syncd.sync.parts import Parts

#: How often a daemon that waits looks whether its turn has come.
_LOOK_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to poll: five cron fields in a time zone, or an interval if one is given."""

    poll: str
    interval: timedelta | None
    timezone: str

    @property
    def trigger(self) -> BaseTrigger:
        """The same for APScheduler."""
        if self.interval is not None:
            return IntervalTrigger(seconds=int(self.interval.total_seconds()), timezone=self.timezone)
        return CronTrigger.from_crontab(self.poll, timezone=self.timezone)


class Daemon:
    """Polls on a schedule until told to stop; of several on one store one works and the others wait.

    ``stopping`` is the event that tells it to, and that ends every wait within.
    """

    def __init__(self, parts: Parts, schedule: Schedule, stopping: Event) -> None:
        self._parts = parts
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
            log.info("daemon_started", poll=schedule.poll, timezone=schedule.timezone, feeds=len(self._parts.feeds))
            stack.callback(log.info, "daemon_stopped")
            self._poll_until_stopped()

    def _poll_until_stopped(self) -> None:
        if self._schedule.poll:
            # One job, one instance: a poll that falls due while one is at work is made up for once, after it.
            self._job = self._scheduler.add_job(
                self._poll,
                self._schedule.trigger,
                next_run_time=self._parts.clock(),
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )
        self._scheduler.start()
        try:
            self._stopping.wait()
        finally:
            self._scheduler.shutdown(wait=True)

    def _poll(self) -> None:
        log = self._parts.log
        try:
            with self._locked(Purpose.WRITING):
                run_once(self._parts, Trigger.SCHEDULE)
        except Interrupted:
            return
        except StateUnusable as problem:
            log.error("poll_failed", reason=str(problem))  # noqa: TRY400 - a traceback may quote values
        except SyncdError:
            # The run has logged its own end.
            pass
        except Exception as problem:  # noqa: BLE001 - the next poll may fare better
            log.error("poll_failed", reason=f"unexpected {type(problem).__name__}")  # noqa: TRY400
        self._note_next_run()

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

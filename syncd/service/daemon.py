"""The daemon's life: take over, look again and again, finish what is in flight, leave."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Lock
from typing import Final

from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd.errors import OneFileUnreachable, StateUnusable, SyncdError
from syncd.onefile import Interrupted
from syncd.state import daemons, runs
from syncd.state.lock import Lock as StoreLock
from syncd.state.lock import Purpose, locked_when_free
from syncd.state.retention import purge
from syncd.sync.one_pass import Trigger, run_once
from syncd.sync.parts import Parts
from syncd.sync.verifying import verify_once

#: How often a daemon looks whether somebody asks for a run, or, while it waits, whether its turn has come.
_LOOK_AGAIN_SECONDS: Final = 1.0


#: How often what is older than is kept is purged, and at once when it begins: it may never live for a day.
_PURGE_EVERY: Final = timedelta(days=1)

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
    """When to poll and when to verify, in a time zone, and how long changes are kept; nothing is for ever."""

    poll: When
    verify: When
    timezone: str
    keep: timedelta = timedelta()


class Daemon:
    """Polls on a schedule, and when asked, until told to stop; of several on one store one works and the others wait.

    ``turns`` are the parts of each organisation, which have their turns one after the other. ``stopping`` is the
    event that tells it to, and that ends every wait within. ``pauses`` are the seconds between two tries while OneFile
    is down, the last one again and again. ``asked`` is an event by which this process is asked for a run of everybody.
    """

    def __init__(
        self,
        turns: Sequence[Parts],
        schedule: Schedule,
        stopping: Event,
        pauses: Sequence[float] = PAUSES_SECONDS,
        asked: Event | None = None,
    ) -> None:
        self._turns = turns
        self._parts = turns[0]
        self._pauses = pauses
        self._schedule = schedule
        self._stopping = stopping
        self._asked = asked or Event()
        self._one_at_a_time = Lock()
        self._scheduler = BackgroundScheduler(timezone=schedule.timezone)
        self._job: Job | None = None

    def live(self) -> None:
        """Work until told to stop; calls in flight are finished then. Raises `StateUnusable`."""
        log, schedule = self._parts.log, self._schedule
        with ExitStack() as stack:
            try:
                for parts in self._turns:
                    stack.enter_context(self._locked(parts, Purpose.LEADING))
            except Interrupted:
                return
            with self._parts.store.begin() as connection:
                for parts in self._turns:
                    daemons.arrive(
                        connection, parts.organisation_id, socket.gethostname(), os.getpid(), self._parts.clock()
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
        if self._schedule.keep:
            self._add(self._purge, When(interval=_PURGE_EVERY), next_run_time=self._parts.clock())
        # One job that lasts: of a job every second APScheduler would warn every second for as long as a run takes.
        self._scheduler.add_job(self._answer_requests, misfire_grace_time=None)
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
        for parts in self._turns:
            self._until_onefile_answers(parts, lambda parts: run_once(parts, Trigger.SCHEDULE))
        self._note_next_run()

    def _verify(self) -> None:
        for parts in self._turns:
            self._until_onefile_answers(parts, lambda parts: verify_once(parts, Trigger.VERIFY))

    def _purge(self) -> None:
        parts = self._parts
        organisations = [each.organisation_id for each in self._turns]
        try:
            count = purge(parts.store, organisations, parts.clock(), self._schedule.keep, self._stopping.is_set)
        except StateUnusable as problem:
            parts.log.error("purge_failed", reason=str(problem))  # noqa: TRY400 - a traceback may quote values
        else:
            if count:
                parts.log.info("changes_purged", count=count)

    def _answer_requests(self) -> None:
        while not self._stopping.wait(_LOOK_AGAIN_SECONDS):
            self._pass_on_what_was_asked()
            # That the store cannot be reached is for the polls to say.
            with suppress(StateUnusable):
                with self._parts.store.begin() as connection:
                    asked_for = runs.organisations_asked_for(connection)
                for parts in self._turns:
                    if parts.organisation_id in asked_for:
                        self._is_over(parts, self._answer)

    def _answer(self, parts: Parts) -> None:
        """Make one run for all who ask."""
        with parts.store.begin() as connection:
            requests = runs.requests_waiting(connection, parts.organisation_id)
        if not requests:
            return
        answered = [request.id for request in requests]
        try:
            asked_by = ", ".join(sorted({request.requested_by for request in requests}))
            run_once(parts, Trigger.REQUEST, only=runs.all_asked_for(requests), asked_by=asked_by)
        except (Interrupted, StateUnusable):
            # That is no answer: they wait on, for the next daemon if this one is to end.
            answered = []
            raise
        finally:
            if answered:
                self._note_answer(parts, answered)

    def _note_answer(self, parts: Parts, answered: Sequence[int]) -> None:
        with parts.store.begin() as connection:
            newest = runs.last(connection, parts.organisation_id)
            if newest:
                runs.answer(connection, answered, newest.id)

    def _pass_on_what_was_asked(self) -> None:
        """Whoever asks this process asks the store, and so whichever daemon works."""
        if not self._asked.is_set():
            return
        self._asked.clear()
        try:
            with self._parts.store.begin() as connection:
                for parts in self._turns:
                    runs.request(connection, parts.organisation_id, "signal", parts.clock())
        except StateUnusable:
            self._asked.set()

    def _until_onefile_answers(self, parts: Parts, work: Callable[[Parts], object]) -> None:
        """Do it, and while OneFile is down try again, less and less often; the lock is let go meanwhile."""
        pauses = iter(self._pauses)
        pause = 0.0
        while not self._is_over(parts, work):
            pause = next(pauses, pause)
            if self._stopping.wait(pause):
                return

    def _is_over(self, parts: Parts, work: Callable[[Parts], object]) -> bool:
        """Do it once; false when it is worth trying again soon."""
        log = parts.log
        try:
            # Two organisations have two locks in the store, and still their turns one after the other.
            with self._one_at_a_time, self._locked(parts, Purpose.WRITING):
                work(parts)
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
            for parts in self._turns:
                daemons.note_next_run(connection, parts.organisation_id, next_run_at)

    def _leave(self) -> None:
        with suppress(StateUnusable), self._parts.store.begin() as connection:
            for parts in self._turns:
                daemons.leave(connection, parts.organisation_id)

    def _locked(self, parts: Parts, purpose: Purpose) -> AbstractContextManager[StoreLock]:
        return locked_when_free(parts.store, parts.organisation_id, purpose, self._wait)

    def _wait(self) -> None:
        if self._stopping.wait(_LOOK_AGAIN_SECONDS):
            raise Interrupted
        self._pass_on_what_was_asked()

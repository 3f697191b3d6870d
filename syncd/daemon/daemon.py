"""The daemon's life: take the lead, run every job when it is due, finish the calls in flight, leave."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import Final, TypeVar

from syncd.core.run import Trigger
from syncd.core.schedule import When
from syncd.daemon.config import DaemonConfig
from syncd.daemon.jobs import Jobs
from syncd.daemon.runner import Runner
from syncd.daemon.service_manager import ServiceManager
from syncd.errors import DaemonBroken, Interrupted, StateReplaced, StateUnreachable, StateUnusable, SyncdError
from syncd.notify.notifier import Notifier, NullNotifier
from syncd.state import daemons, runs
from syncd.state.db.lock import Lock, Purpose, locked_when_free
from syncd.state.db.store_watch import StoreWatch
from syncd.state.session import reading_session, writing_session

#: How often a daemon checks for requests, or, while it waits, whether it can take the lead.
LOOK_AGAIN_SECONDS: Final = 1.0
#: Outside working hours, as a cron line.
_AT_NIGHT: Final = "30 2 * * *"

#: The back-off while OneFile is down.
PAUSES_SECONDS: Final = (30.0, 60.0, 120.0, 240.0, 480.0, 900.0)

_Result = TypeVar("_Result")

_POLL: Final = "poll"
_VERIFY: Final = "verify"


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals that a process may receive; the sender sets the event."""

    stopping: Event = field(default_factory=Event)
    """Stop. It also ends every wait."""
    asked: Event = field(default_factory=Event)
    """Start a run of every record."""
    reload: Event = field(default_factory=Event)
    """Read the configuration again."""


class Daemon:
    """Polls on a schedule and on request until it is stopped; of several on one store, one works and the others wait.

    ``pauses`` are the seconds between two attempts while OneFile is down; the last one repeats. ``reread`` returns the
    current configuration, and raises `SyncdError` if it cannot be used. ``telling`` sends the notifications.
    ``open_store`` makes the state store ready for use, and raises `StateUnreachable` if it may succeed later; any
    other error from it ends the daemon. ``manager`` is the service manager.
    Every ``look_again_seconds`` it checks for requests, checks the clock, and checks whether it can take the lead.
    """

    def __init__(
        self,
        orders: DaemonConfig,
        signals: Signals,
        reread: Callable[[], DaemonConfig],
        pauses: Sequence[float] = PAUSES_SECONDS,
        telling: Notifier | None = None,
        open_store: Callable[[], object] = lambda: None,
        manager: ServiceManager | None = None,
        look_again_seconds: float = LOOK_AGAIN_SECONDS,
    ) -> None:
        self._look_again_seconds = look_again_seconds
        self._telling = telling or NullNotifier()
        self._open_store = open_store
        self._manager = manager or ServiceManager()
        self._status = ""
        self._work = Runner(orders, signals.stopping, signals.asked, self._telling.check_soon)
        self._retired: list[DaemonConfig] = []
        self._rereading: Future[DaemonConfig] | None = None
        self._signals = signals
        self._reread = reread
        self._pauses = pauses
        self._failures = {_POLL: 0, _VERIFY: 0}
        main = orders.turns[0]
        self._store, self._log, self._clock = main.store, main.log, main.clock
        self._store_watch = StoreWatch(self._store)
        self._organisations = [context.organisation_id for context in orders.turns]
        self._jobs = Jobs(self._clock)

    def due(self, job: str) -> datetime | None:
        """When ``poll``, ``verify``, ``requests`` or ``daily NAME`` is next due; ``None`` if it is not scheduled."""
        return self._jobs.due(job)

    def run(self) -> None:
        """Work until stopped, then finish the calls in flight. Raises `DaemonBroken`, and `StateReplaced`.

        It waits, at the start too, while the store cannot be reached or another daemon has the lead.
        Raises what ``open_store`` raises, except `StateUnreachable`.
        """
        self._say("Opens the state store.")
        with suppress(Interrupted), self._telling.running():
            if self._signals.stopping.is_set():
                raise Interrupted
            self._until_reached(self._open_store, StateUnreachable)
            self._ready("Waits until no other daemon works on this state store.")
            while not self._signals.stopping.is_set():
                self._until_reached(self._run_as_leader, StateUnusable)
        self._work.release(self._retired)

    def _until_reached(self, work: Callable[[], object], unreachable: type[StateUnusable]) -> None:
        """Repeat work that needs the store until the store is reached; log once that it is not."""
        is_known = False
        while True:
            try:
                work()
            except StateReplaced as problem:
                self._log.error("state_store_replaced", reason=str(problem))
                raise
            except unreachable as problem:
                if not is_known:
                    self._log.error("state_store_unavailable", reason=str(problem))
                    self._ready(f"Waits for the state store: {problem}")
                is_known = True
                self._wait()
            else:
                return

    def _run_as_leader(self) -> None:
        """Wait for the lead, and work for as long as this daemon has it."""
        with ExitStack() as stack:
            leads = [
                stack.enter_context(locked_when_free(self._store, each, Purpose.LEADING, self._wait_for_lead))
                for each in self._organisations
            ]
            with writing_session(self._store, self._organisations[0], self._clock) as session:
                for each in self._organisations:
                    daemons.register(session.for_organisation(each), socket.gethostname(), os.getpid())
            stack.callback(self._leave)
            # What it is before the first run, to compare it with.
            self._check_store()
            self._jobs = Jobs(self._clock)
            self._schedule_all(begins=True)
            self._log.info("daemon_started", **self._about())
            self._ready("Works: polls the MIS on its schedule.")
            stack.callback(self._log.info, "daemon_stopped")
            with self._jobs.running(), self._telling.leading():
                self._watch(leads)

    def _watch(self, leads: Sequence[Lock]) -> None:
        """Do everything but the runs, until stopped or no longer in the lead."""
        # On Windows, Ctrl+C does not interrupt a wait without a timeout.
        while not self._signals.stopping.wait(self._look_again_seconds):
            if self._reload_if_requested():
                self._schedule_all()
                self._log.info("configuration_reloaded", **self._about())
            if by := self._jobs.check_clock():
                self._log.warning("clock_jumped", seconds=round(by.total_seconds()))
                self._note_next_run()
            if not self._jobs.are_alive:
                # Otherwise no job would ever run again, without any sign of it.
                self._signals.stopping.set()
                self._log.error("daemon_failed", reason="its schedule has ended")
                raise DaemonBroken("The daemon's schedule has ended, for an unknown reason. Start the daemon again.")
            self._check_store()
            if not all(lead.is_held() for lead in leads):
                self._log.error("leadership_lost", reason="its lock on the state store was lost")
                self._say("Waits until no other daemon works on this state store.")
                return
        self._manager.stopping()

    def _check_store(self) -> None:
        try:
            self._store_watch.check()
        except StateReplaced:
            # A run in progress ends too.
            self._signals.stopping.set()
            raise

    def _schedule_all(self, *, begins: bool = False) -> None:
        """Schedule every job; if the daemon ``begins``, jobs that must not wait run first."""
        schedule, now = self._work.orders.schedule, self._clock()
        quiet = timedelta(seconds=self._work.seconds_of_quiet())
        at_once = (now + quiet + schedule.poll.later if quiet else now) if begins else None
        self._schedule_job(_POLL, partial(self._make, _POLL, self._work.poll), schedule.poll, at_once)
        missed = self._missed_verify(now) if begins else None
        self._schedule_job(_VERIFY, partial(self._make, _VERIFY, self._work.verify), schedule.verify, missed)
        look_again = When("again and again", timedelta(seconds=self._look_again_seconds))
        self._schedule_job("requests", self._work.answer_requests, look_again)
        for daily in self._work.orders.daily:
            when = When(_AT_NIGHT, timezone=schedule.timezone)
            self._schedule_job(f"daily {daily.name}", partial(self._work.do, daily), when, now if begins else None)
        self._note_next_run()

    def _schedule_job(self, name: str, work: Callable[[], None], when: When, first: datetime | None = None) -> None:
        if when:
            self._jobs.add(name, work, when, first)
        else:
            self._jobs.remove(name)

    def _missed_verify(self, now: datetime) -> datetime | None:
        """When to verify first: now, if it was due while no daemon was running; ``None`` if there was no verify yet."""
        verify = self._work.orders.schedule.verify
        if not verify:
            return None
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            lasts = [runs.last_verify(session.for_organisation(each), Trigger.VERIFY) for each in self._organisations]
        due = [verify.after(scope.began_at) for scope in lasts if scope is not None]
        return max(now, min(due)) if due else None

    def _make(self, name: str, work: Callable[[], bool]) -> None:
        """Make the runs that are due, or postpone them: for a quiet window, or while OneFile is down."""
        later = getattr(self._work.orders.schedule, name).later
        if quiet := self._work.seconds_of_quiet():
            self._postpone(name, timedelta(seconds=quiet) + later, "quiet window")
            return
        if not work():
            pause = self._pauses[min(self._failures[name], len(self._pauses) - 1)]
            self._failures[name] += 1
            self._postpone(name, timedelta(seconds=pause), "OneFile is down")
            return
        self._failures[name] = 0
        self._note_next_run()

    def _postpone(self, name: str, by: timedelta, why: str) -> None:
        until = self._clock() + by
        self._jobs.postpone(name, until)
        self._note_next_run()
        self._log.info("job_postponed", job=name, until=_written(until), why=why)

    def _reload_if_requested(self) -> bool:
        """Read the configuration again if requested; returns whether a new one is now in use.

        An MIS that hangs while the feeds are checked delays nothing, not even the shutdown.
        """
        if self._rereading is None and self._signals.reload.is_set():
            self._signals.reload.clear()
            self._manager.reloading()
            self._rereading = _begun(self._reread)
        if self._rereading is not None and self._rereading in wait([self._rereading], self._look_again_seconds).done:
            rereading, self._rereading = self._rereading, None
            try:
                orders = rereading.result()
            except SyncdError as problem:
                self._log.error("configuration_reload_failed", reason=str(problem))
            except Exception as problem:  # noqa: BLE001 - the old configuration stays in use
                self._log.error("configuration_reload_failed", reason=f"unexpected {type(problem).__name__}")
            else:
                self._retired.append(self._work.orders)
                self._work.orders = orders
                return True
            finally:
                self._manager.ready(self._status)
        self._work.release(self._retired)
        return False

    def _about(self) -> Mapping[str, object]:
        """What the daemon does and when, for the log."""
        orders, due = self._work.orders, self._jobs.due
        schedule, main = orders.schedule, orders.turns[0]
        return {
            "poll": schedule.poll.line,
            "verify": schedule.verify.line,
            "timezone": schedule.timezone,
            "quiet": [f"{start:%H:%M}-{end:%H:%M}" for start, end in schedule.quiet],
            "next_poll_at": _written(due(_POLL)),
            "next_verify_at": _written(due(_VERIFY)),
            "feeds": len(main.feeds),
            "feed_names": [feed.name for feed in (*main.feeds, *main.assignment_feeds)],
            "organisations": self._organisations,
            "leavers": "archive" if main.policy.archives_leavers else "report",
            **orders.about,
        }

    def _note_next_run(self) -> None:
        with suppress(StateUnusable), writing_session(self._store, self._organisations[0], self._clock) as session:
            for each in self._organisations:
                daemons.note_next_run(session.for_organisation(each), self._jobs.due(_POLL))

    def _leave(self) -> None:
        with suppress(StateUnusable), writing_session(self._store, self._organisations[0], self._clock) as session:
            for each in self._organisations:
                daemons.unregister(session.for_organisation(each))

    def _ready(self, status: str) -> None:
        """Report to the service manager that the daemon is ready: it works, or waits until it can."""
        self._status = status
        self._manager.ready(status)

    def _say(self, status: str) -> None:
        self._status = status
        self._manager.doing(status)

    def _wait_for_lead(self) -> None:
        self._wait()
        self._check_store()

    def _wait(self) -> None:
        if self._signals.stopping.wait(self._look_again_seconds):
            self._manager.stopping()
            raise Interrupted
        self._work.forward_requests()
        if self._reload_if_requested():
            self._log.info("configuration_reloaded")


def _begun(work: Callable[[], _Result]) -> Future[_Result]:
    """Start it in a daemon thread, which does not keep the process from ending."""
    future: Future[_Result] = Future()

    def do() -> None:
        try:
            result = work()
        except BaseException as problem:  # noqa: BLE001 - the future raises it to the caller
            future.set_exception(problem)
        else:
            future.set_result(result)

    Thread(target=do, name="reload", daemon=True).start()
    return future


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None

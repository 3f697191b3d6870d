"""Shared by the commands that make a run: its context, locks, signals, the progress bar."""

import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from syncd import early_signals
from syncd.cli.options import (
    organisation_of,
    set_up_logs,
    settings_of,
    whoami,
)
from syncd.cli.output.streams import terminal
from syncd.cli.output.text import print_done
from syncd.core.run import RunState, Trigger
from syncd.core.scope import NOTHING, Scope
from syncd.core.text import join
from syncd.errors import AnotherRun
from syncd.settings import Settings
from syncd.state.db.lock import Purpose, locked
from syncd.state.session import StateSession
from syncd.state.views import search
from syncd.sync.context import SyncContext
from syncd.sync.run import PlanMaker, RunResult, execute
from syncd.sync.tally import Progress as OnProgress
from syncd.wiring.clock import now
from syncd.wiring.context import open_context
from syncd.wiring.store import open_store

_IN_SYNC, _AWAITING_APPROVAL, SOME_HELD = 0, 3, 4
#: With several organisations, the gravest exit code is returned.
GRAVEST_FIRST: Final = (AnotherRun.exit_code, _AWAITING_APPROVAL, SOME_HELD, _IN_SYNC)


@contextmanager
def at_work(config: Path | None, organisation: int | None = None, *, may_create: bool = False) -> Iterator[SyncContext]:
    """The context of a run of a command, under the organisation's lock; with several, one must be chosen.

    ``may_create`` creates the state store if there is none yet. Raises `AnotherRun`, `ConfigurationError` and
    `StateUnusable`.
    """
    settings = settings_of(config)
    chosen = organisation_of(settings, organisation)
    with open_run_context(settings, may_create=may_create) as context, locked_organisation(context, chosen) as here:
        yield here


@contextmanager
def open_run_context(settings: Settings, *, may_create: bool = False) -> Iterator[SyncContext]:
    """The context of a run, for the main organisation; SIGTERM and SIGINT stop it.

    ``may_create`` creates the state store if there is none yet. Raises `SyncdError`.
    """
    log = set_up_logs(settings, is_watched=True)
    store = open_store(settings, may_create=may_create)
    with stopped_by_signals() as stopping, open_context(settings, store, log, stopping) as context:
        store.is_stopping = stopping.is_set
        yield context


@contextmanager
def locked_organisation(context: SyncContext, organisation_id: int) -> Iterator[SyncContext]:
    """The context of one organisation, under its lock. Raises `AnotherRun`."""
    with locked(context.store, organisation_id, Purpose.WRITING):
        yield context.for_organisation(organisation_id)


def head(organisation_id: int, organisations: Collection[int]) -> None:
    """Print the organisation as a heading, if there are several."""
    if len(organisations) > 1:
        typer.echo(f"\nOrganisation {organisation_id}")


def exit_code(done: RunResult) -> int:
    """The exit code for the result of a run."""
    if done.state is RunState.AWAITING_APPROVAL or done.waiting:
        return _AWAITING_APPROVAL
    return _IN_SYNC if done.is_in_sync else SOME_HELD


@dataclass(slots=True)
class NamedRecords:
    """The records that a run is limited to, and which of them no feed of the organisations contains."""

    scope: Scope
    organisations: InitVar[Collection[int]]
    _unknown: set[str] = field(init=False)
    _not_asked: set[int] = field(init=False)

    def __post_init__(self, organisations: Collection[int]) -> None:
        self._unknown = set(self.scope.misids or ())
        self._not_asked = set(organisations)

    def find(self, session: StateSession, run: int) -> Scope:
        """The records that the organisation's run has found, or those that have an account."""
        if self.scope.misids is None:
            return self.scope
        unknown = search.without_record(session.connection, session.organisation_id, self.scope.misids, run)
        self._unknown &= unknown
        self._not_asked.discard(session.organisation_id)
        return Scope.of(self.scope.misids - unknown)

    def report_unknown(self) -> bool:
        """Print the MISIDs that no feed of any organisation contains; whether there are any.

        If a run of an organisation is missing, its records are not known, and none is reported.
        """
        if not self._unknown or self._not_asked:
            return False
        typer.echo(
            f"No feed contains {join(sorted(map(repr, self._unknown)))}, and there is no such account.", err=True
        )
        return True


@contextmanager
def stopped_by_signals() -> Iterator[Event]:
    """An event that SIGTERM and SIGINT set; a second SIGINT ends the process as usual."""
    stopping = Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def set_by(name: str) -> Iterator[Event]:
    """An event that the signal of this name sets, if this system has it; also one that came before."""
    received = Event()
    number = getattr(signal, name, None)
    if number is None:
        yield received
        return
    before = signal.signal(number, lambda _number, _frame: received.set())
    if early_signals.was_received(number):
        received.set()
    try:
        yield received
    finally:
        signal.signal(number, before)


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """A progress bar on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=terminal(sys.stderr)), transient=True) as bar:
        task = bar.add_task("Reading", total=None)
        yield lambda done, total: bar.update(task, description="Sending", completed=done, total=total)


def run_plan(
    where: tuple[Path | None, int | None],
    trigger: Trigger,
    maker: PlanMaker,
    *,
    approve: bool,
    remark: Callable[[RunResult], str] = lambda _done: "",
) -> None:
    """Run the plan of a command, print the result, and exit with its code; ``remark`` returns what else to print."""
    with at_work(*where) as context:
        done = execute(context, trigger, maker, approved_by=whoami() if approve else "")
    print_done(done, now(), NOTHING)
    if said := remark(done) if done.state is RunState.FINISHED else "":
        typer.echo(said)
    raise typer.Exit(exit_code(done))

"""plan, sync, run: what makes a pass."""

import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from syncd.cli.options import (
    ConfigOption,
    MisidOption,
    OrganisationOption,
    file_of,
    organisation_of,
    organisations_of,
    set_up_logs,
    settings_of,
    whoami,
)
from syncd.cli.output import text
from syncd.cli.program import app
from syncd.core.scope import EVERYONE, Scope
from syncd.errors import AnotherRun
from syncd.settings import Settings, load_settings
from syncd.state.db.lock import Purpose, locked
from syncd.state.runs import RunState
from syncd.sync.context import SyncContext
from syncd.sync.resync import run_yielding_to_resyncs
from syncd.sync.run import RunResult, Trigger, run_once
from syncd.sync.tally import Progress as OnProgress
from syncd.wiring.context import open_context
from syncd.wiring.store import open_store

_IN_STEP, _AWAITING_APPROVAL, _SOME_HELD = 0, 3, 4
_GRAVEST_FIRST = (AnotherRun.exit_code, _AWAITING_APPROVAL, _SOME_HELD, _IN_STEP)


@app.command(rich_help_panel="Running")
def sync(
    *,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve this run's plan beforehand, however large it is.")
    ] = False,
    misid: MisidOption = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Make one run now, and wait for it; of several organisations one for each in turn.

    Ends with 0 when everybody is in step, 1 when it could not run, 3 when it waits for 'syncd approve',
    4 when it is done but some records are held or were refused, 5 when another run is at work.
    """
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    codes = set()
    with _able_to_work(settings) as context:
        for each in organisations:
            head(each, organisations)
            try:
                with _at_turn(context, each) as here, progress_bar() as progress:
                    running = partial(
                        run_once,
                        trigger=Trigger.COMMAND,
                        scope=Scope.of(misid) if misid else EVERYONE,
                        approved_by=whoami() if approve else "",
                        asked_by=whoami(),
                        progress=progress,
                    )
                    done = running(here) if misid else run_yielding_to_resyncs(here, running)
            except AnotherRun as problem:
                # What holds this organisation up does not hold up the others.
                typer.echo(str(problem), err=True)
                codes.add(problem.exit_code)
            else:
                text.print_done(done)
                codes.add(exit_code(done))
    raise typer.Exit(next(code for code in _GRAVEST_FIRST if code in codes))


@app.command(rich_help_panel="Running")
def run(*, config: ConfigOption = None) -> None:
    """Run the daemon: poll on the schedule until told to stop.

    The first poll is made at once; 'syncd resync' and SIGUSR1 ask for another one. SIGTERM or Ctrl+C finishes the
    calls in flight and ends it with 0; SIGHUP has it read its configuration and feeds again. Of several daemons on
    one state store one works and the others wait to take over.
    """
    # Only the daemon needs its scheduler and its server, which take time to load.
    from syncd.daemon.daemon import Daemon, Signals  # noqa: PLC0415
    from syncd.web.metrics import Requests  # noqa: PLC0415
    from syncd.wiring.admin import open_admin  # noqa: PLC0415
    from syncd.wiring.daemon import DaemonConfigFile  # noqa: PLC0415
    from syncd.wiring.notify import open_notifier  # noqa: PLC0415

    file = file_of(config)
    with stopped_by_signals() as stopping, set_by("SIGUSR1") as asked, set_by("SIGHUP") as reload:
        settings = load_settings(file)
        log = set_up_logs(settings)
        store, requests = open_store(settings), Requests()
        telling = open_notifier(settings, store, log)
        with (
            closing(DaemonConfigFile(file, settings, store, log, stopping, requests.note)) as site,
            open_admin(lambda: site.settings, store, log, stopping, requests),
        ):
            Daemon(site.orders, Signals(stopping, asked, reload), site.reread, telling=telling).run()


@contextmanager
def at_work(config: Path | None, organisation: int | None = None) -> Iterator[SyncContext]:
    """All that a run by hand needs, under the lock of the organisation, which must be chosen where there are several.

    Raises `AnotherRun`, `ConfigurationError` and `StateUnusable`.
    """
    settings = settings_of(config)
    chosen = organisation_of(settings, organisation)
    with _able_to_work(settings) as context, _at_turn(context, chosen) as here:
        yield here


@contextmanager
def _able_to_work(settings: Settings) -> Iterator[SyncContext]:
    log = set_up_logs(settings, is_watched=True)
    store = open_store(settings)
    with stopped_by_signals() as stopping, open_context(settings, store, log, stopping) as context:
        yield context


@contextmanager
def _at_turn(context: SyncContext, organisation_id: int) -> Iterator[SyncContext]:
    with locked(context.store, organisation_id, Purpose.WRITING):
        yield context.for_organisation(organisation_id)


def head(organisation_id: int, organisations: Collection[int]) -> None:
    """Say which organisation comes next, where there are several."""
    if len(organisations) > 1:
        typer.echo(f"\nOrganisation {organisation_id}")


def exit_code(done: RunResult) -> int:
    """What a command that made a run ends with."""
    if done.state is RunState.AWAITING_APPROVAL:
        return _AWAITING_APPROVAL
    return _IN_STEP if done.is_in_sync else _SOME_HELD


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
    """An event that a signal sets, where there is one of this name."""
    told = Event()
    number = getattr(signal, name, None)
    if number is None:
        yield told
        return
    before = signal.signal(number, lambda _number, _frame: told.set())
    try:
        yield told
    finally:
        signal.signal(number, before)


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """A bar on a terminal; in a pipe nothing."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=None)
        yield lambda done, total: bar.update(task, description="Sending", completed=done, total=total)

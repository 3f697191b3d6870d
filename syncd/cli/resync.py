"""resync: asking the daemon for a run."""

import time
from datetime import timedelta
from threading import Event
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from syncd.cli.context import exit_code, head, progress_bar, stopped_by_signals
from syncd.cli.options import (
    ConfigOption,
    MisidOption,
    OrganisationOption,
    organisations_of,
    settings_of,
    whoami,
)
from syncd.cli.output import text
from syncd.cli.program import app
from syncd.core.run import Action, RunState, Trigger
from syncd.errors import AnotherRun
from syncd.onefile import Interrupted
from syncd.onefile.rate_limit import seconds_of_quiet
from syncd.state import accounts, resync_requests, runs
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from syncd.state.runs import RunSummary
from syncd.state.views.documents import moment
from syncd.sync.run import RunResult
from syncd.wiring.clock import now
from syncd.wiring.store import open_store

_LOOK_AGAIN_SECONDS: Final = 0.5
#: How long there may be no daemon: long enough for one to be started again.
_PATIENCE_SECONDS: Final = 10.0

_COULD_NOT_RUN: Final = 1
_GRAVEST_FIRST: Final = (_COULD_NOT_RUN, 3, 4, 0)
#: A run that was stopped may have been settled before we look.
_STOPPED: Final = frozenset({RunState.AWAITING_APPROVAL, RunState.APPROVED, RunState.REJECTED, RunState.SUPERSEDED})


@app.command(rich_help_panel="Running")
def resync(
    *,
    misid: MisidOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run, and end as 'syncd sync' does.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask the running daemon for a run now, from any machine that reaches the state store.

    It begins within two seconds, or after the run that is at work, or after a quiet window. With --misid the run that
    is at work gives way to it, even one that was begun by hand. Who asks meanwhile shares it. With --wait it ends with
    0 when everybody is in step, 1 when it could not run or nobody answers, 3 when it waits for 'syncd approve', 4 when
    it is done but some records are held or were refused.
    """
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    store = open_store(settings)
    with stopped_by_signals() as stopping:
        with store.begin() as connection:
            requests = {
                each: resync_requests.add(connection, each, whoami(), now(), misid or []) for each in organisations
            }
        if quiet := seconds_of_quiet(now(), settings.schedule.quiet, ZoneInfo(settings.schedule.timezone)):
            ends_at = now() + timedelta(seconds=quiet)
            typer.echo(f"It is a quiet window, in which no call leaves: the run begins after it, at {moment(ends_at)}.")
        elif not wait:
            at_work = "ahead of one that is at work" if misid else "or after the one that is at work"
            typer.echo(f"A run is asked for; the daemon begins it within two seconds, {at_work}.")
        if not wait:
            return
        codes = set()
        try:
            for each, request in requests.items():
                head(each, organisations)
                codes.add(_outcome(store, each, request, stopping, is_named=bool(misid)))
        except Interrupted:
            typer.echo("No longer waiting. The request stands, and the daemon makes the run all the same.", err=True)
            raise typer.Exit(_COULD_NOT_RUN) from None
    raise typer.Exit(next(code for code in _GRAVEST_FIRST if code in codes))


def _outcome(store: Store, organisation_id: int, request: int, stopping: Event, *, is_named: bool) -> int:
    """Wait for the answer and print it; gives what to end with. Raises `Interrupted` when told to stop."""
    run = _answer(store, organisation_id, request, stopping, is_named=is_named)
    if run is None:
        problem = (
            f"No daemon works for organisation {organisation_id} on the state store {store}: start 'syncd run'. "
            "The request stands, and the next daemon answers it."
        )
    elif run.state is RunState.FINISHED or run.state in _STOPPED:
        with store.reading() as connection:
            done = _done(connection, run)
        text.print_done(done)
        return exit_code(done)
    else:
        problem = f"Run {run.id} could not be made: {run.reason or 'the daemon broke off; its log says why.'}"
    typer.echo(problem, err=True)
    return _COULD_NOT_RUN


def _answer(store: Store, organisation_id: int, request: int, stopping: Event, *, is_named: bool) -> RunSummary | None:
    """The run that answers, once it is over, and meanwhile how far it is; ``None`` when there is nobody to make it."""
    told = None
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    with progress_bar() as progress:
        while True:
            with store.reading() as connection:
                answer = resync_requests.answering_run(connection, request)
                newest = runs.last(connection, organisation_id)
                begun = runs.changes_begun(connection, newest.id) if newest else 0
            if answer:
                return answer
            if newest and newest.state is RunState.RUNNING:
                if newest.id != told:
                    typer.echo(f"Run {newest.id} is at work{_and_yours(newest, is_named=is_named)}.")
                    told = newest.id
                if begun:
                    progress(begun, newest.creates + newest.updates)
            if time.monotonic() > give_up_at:
                # To look whether the other one is held keeps a run from beginning, so that comes second.
                if not any(_is_held(store, organisation_id, each) for each in (Purpose.LEADING, Purpose.WRITING)):
                    return None
                give_up_at = time.monotonic() + _PATIENCE_SECONDS
            if stopping.wait(_LOOK_AGAIN_SECONDS):
                raise Interrupted


def _and_yours(in_progress: RunSummary, *, is_named: bool) -> str:
    if in_progress.trigger is Trigger.REQUEST:
        return ""
    return ", and gives way to yours" if is_named else "; yours comes after it"


def _is_held(store: Store, organisation_id: int, purpose: Purpose) -> bool:
    """Whether somebody has this lock: a daemon for as long as it lives, and whoever makes a run."""
    try:
        with locked(store, organisation_id, purpose):
            return False
    except AnotherRun:
        return True


def _done(connection: Connection, run: RunSummary) -> RunResult:
    """What is on record of a run, as the run itself would tell it."""
    return RunResult(
        run.id,
        RunState.AWAITING_APPROVAL if run.state in _STOPPED else run.state,
        run.counts,
        applied={Action(action): count for action, count in runs.changes_applied(connection, run.id).items()},
        left=accounts.leavers(connection, run.organisation_id),
        refused=run.refused,
        in_doubt=run.in_doubt,
        held=run.held,
        warnings=run.warnings,
        unchanged=run.unchanged,
        calls=run.calls,
        objections=(run.reason,),
    )

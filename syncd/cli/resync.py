"""The command resync: request a run from the daemon."""

import time
from datetime import timedelta
from threading import Event
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import SOME_HELD, NamedRecords, exit_code, head, progress_bar, stopped_by_signals
from syncd.cli.options import MisidOption, OrganisationOption, organisations_of, settings_of, whoami
from syncd.cli.output import text
from syncd.cli.program import app
from syncd.core.run import Action, RunState, Trigger
from syncd.core.scope import EVERYONE, Scope
from syncd.errors import AnotherRun, Interrupted
from syncd.onefile.rate_limit import seconds_of_quiet
from syncd.state import accounts, approvals, plan_steps, resync_requests, runs
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from syncd.state.runs import RunSummary
from syncd.state.session import StateSession, reading_session, writing_session
from syncd.state.views.documents import moment
from syncd.sync.run import RunResult
from syncd.wiring.clock import now
from syncd.wiring.store import open_store

_LOOK_AGAIN_SECONDS: Final = 0.5
#: How long to wait for a daemon: long enough for one to restart.
_PATIENCE_SECONDS: Final = 10.0

_COULD_NOT_RUN: Final = 1
_GRAVEST_FIRST: Final = (_COULD_NOT_RUN, 3, 4, 0)
#: A stopped run may have been approved or rejected by the time it is read.
_STOPPED: Final = frozenset({RunState.AWAITING_APPROVAL, RunState.APPROVED, RunState.REJECTED, RunState.SUPERSEDED})


@app.command()
def resync(
    *,
    misid: MisidOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run, and return its exit code.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask the running daemon for a run now, from any machine that reaches the state store.

    The run starts within two seconds, or after the run in progress or a quiet window. With --misid, a run in progress
    pauses for it. Requests made in the meantime are answered by the same run. If no daemon is running, the command
    says so, and the request waits for the next one.

    Exit codes with --wait: 0 in sync; 1 could not run, or no daemon; 3 waits for 'syncd approve'; 4 done, but some
    records are held, are queued or were refused, or no feed contains a MISID of --misid.
    """
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    store = open_store(settings)
    with stopped_by_signals() as stopping:
        with writing_session(store, organisations[0], now) as session:
            requests = {
                each: resync_requests.add(session.for_organisation(each), whoami(), misid or [])
                for each in organisations
            }
        if quiet := seconds_of_quiet(now(), settings.schedule.quiet, ZoneInfo(settings.schedule.timezone)):
            ends_at = now() + timedelta(seconds=quiet)
            typer.echo(f"No calls are made during a quiet window: the run starts after it, at {moment(ends_at)}.")
        if not wait:
            without_daemon = [each for each in organisations if not _is_held(store, each, Purpose.LEADING)]
            for each in without_daemon:
                typer.echo(_waits_for_daemon(store, each))
            if not quiet and len(without_daemon) < len(organisations):
                in_progress = "ahead of a run in progress" if misid else "or after the run in progress"
                typer.echo(f"Run requested. The daemon starts it within two seconds, {in_progress}.")
            return
        named = NamedRecords(Scope.of(misid) if misid else EVERYONE, organisations)
        codes = set()
        try:
            for each, request in requests.items():
                head(each, organisations)
                codes.add(_outcome(store, each, request, stopping, named))
        except Interrupted:
            typer.echo("No longer waiting. The request stands: the daemon makes the run.", err=True)
            raise typer.Exit(_COULD_NOT_RUN) from None
    if named.report_unknown():
        codes.add(SOME_HELD)
    raise typer.Exit(next(code for code in _GRAVEST_FIRST if code in codes))


def _outcome(store: Store, organisation_id: int, request: int, stopping: Event, named: NamedRecords) -> int:
    """Wait for the run, print its result and return the exit code. Raises `Interrupted` if asked to stop."""
    run = _answer(store, organisation_id, request, stopping, is_named=not named.scope.is_everyone)
    if run is None:
        problem = _waits_for_daemon(store, organisation_id)
    elif run.state is RunState.FINISHED or run.state in _STOPPED:
        with reading_session(store, organisation_id, now) as session:
            done = _done(session, run)
            found = named.find(session, run.id)
        text.print_done(done, run.started_at, found)
        return exit_code(done)
    else:
        problem = f"Run {run.id} failed: {run.reason or 'the daemon stopped; see its log.'}"
    typer.echo(problem, err=True)
    return _COULD_NOT_RUN


def _waits_for_daemon(store: Store, organisation_id: int) -> str:
    return (
        f"No daemon is running for organisation {organisation_id} on the state store {store}. The request waits for "
        "the next one, which makes the run when it starts: start 'syncd run'."
    )


def _answer(store: Store, organisation_id: int, request: int, stopping: Event, *, is_named: bool) -> RunSummary | None:
    """Return the run that answers, once it is over, showing its progress; ``None`` if there is no daemon."""
    told = None
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    with progress_bar() as progress:
        while True:
            with reading_session(store, organisation_id, now) as session:
                answer = resync_requests.answering_run(session, request)
                newest = runs.last(session)
                begun = runs.changes_begun(session, newest.id) if newest else 0
            if answer:
                return answer
            if newest and newest.state is RunState.RUNNING:
                if newest.id != told:
                    typer.echo(f"Run {newest.id} is in progress{_and_yours(newest, is_named=is_named)}.")
                    told = newest.id
                if begun:
                    progress(begun, newest.creates + newest.updates)
            if time.monotonic() > give_up_at:
                # Trying the writing lock keeps a run from starting, so the leading lock is tried first.
                if not any(_is_held(store, organisation_id, each) for each in (Purpose.LEADING, Purpose.WRITING)):
                    return None
                give_up_at = time.monotonic() + _PATIENCE_SECONDS
            if stopping.wait(_LOOK_AGAIN_SECONDS):
                raise Interrupted


def _and_yours(in_progress: RunSummary, *, is_named: bool) -> str:
    if in_progress.trigger is Trigger.REQUEST:
        return ""
    return " and pauses for yours" if is_named else "; yours starts after it"


def _is_held(store: Store, organisation_id: int, purpose: Purpose) -> bool:
    """Whether a daemon (leading) or a run (writing) holds this lock."""
    try:
        with locked(store, organisation_id, purpose):
            return False
    except AnotherRun:
        return True


def _done(session: StateSession, run: RunSummary) -> RunResult:
    """The stored result of a run, as the run itself would return it."""
    here = session.for_organisation(run.organisation_id)
    stopped = runs.waiting(here)
    # A part of the run that waits was approved, and the rest was left out of this one.
    is_rest = stopped is not None and (stopped.id == run.id or bool(approvals.of_run(here, stopped.id)))
    return RunResult(
        run.id,
        RunState.AWAITING_APPROVAL if run.state in _STOPPED else run.state,
        run.counts,
        applied={Action(action): count for action, count in runs.changes_applied(session, run.id).items()},
        left=accounts.leavers(here),
        refused=run.refused,
        in_doubt=run.in_doubt,
        held=run.held,
        warnings=run.warnings,
        unchanged=run.unchanged,
        calls=run.calls,
        objections=(run.reason,),
        queued=run.queued,
        waiting=plan_steps.count_undecided(here, stopped.id) if stopped is not None and is_rest else 0,
    )

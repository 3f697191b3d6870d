"""The command sync: one run in the foreground."""

from functools import partial
from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import (
    GRAVEST_FIRST,
    SOME_HELD,
    NamedRecords,
    exit_code,
    head,
    locked_organisation,
    open_run_context,
    progress_bar,
)
from syncd.cli.options import MisidOption, OrganisationOption, organisations_of, settings_of, whoami
from syncd.cli.output import text
from syncd.cli.program import app
from syncd.core.run import Trigger
from syncd.core.scope import EVERYONE, NOTHING, Scope
from syncd.errors import AnotherRun
from syncd.sync.resync import run_yielding_to_resyncs
from syncd.sync.run import run_once
from syncd.wiring.clock import now


@app.command()
def sync(
    *,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve this run's plan beforehand, whatever its size.")
    ] = False,
    misid: MisidOption = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Make one run now, in the foreground; with several organisations, one run for each in turn.

    Exit codes: 0 in sync; 1 could not run; 3 waits for 'syncd approve'; 4 done, but some records are held, are
    queued or were refused, or no feed contains a MISID of --misid; 5 another run is in progress.
    """
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    scope = Scope.of(misid) if misid else EVERYONE
    named = NamedRecords(scope, organisations)
    codes = set()
    with open_run_context(settings, may_create=True) as context:
        for each in organisations:
            head(each, organisations)
            started = now()
            try:
                with locked_organisation(context, each) as here, progress_bar() as progress:
                    running = partial(
                        run_once,
                        trigger=Trigger.COMMAND,
                        scope=scope,
                        approved_by=whoami() if approve else "",
                        asked_by=whoami(),
                        progress=progress,
                        on_undo=lambda undone: text.print_done(undone, now(), NOTHING),
                    )
                    done = running(here) if misid else run_yielding_to_resyncs(here, running)
            except AnotherRun as problem:
                # The other organisations are not affected.
                typer.echo(str(problem), err=True)
                codes.add(problem.exit_code)
            else:
                with here.reading_session() as session:
                    found = named.find(session, done.run)
                text.print_done(done, started, found)
                codes.add(exit_code(done))
    if named.report_unknown():
        codes.add(SOME_HELD)
    raise typer.Exit(next(code for code in GRAVEST_FIRST if code in codes))

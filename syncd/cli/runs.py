"""The command runs: what was done, run by run."""

import csv
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import JsonOption, OrganisationOption
from syncd.cli.output.json import print_json
from syncd.cli.output.streams import data_output
from syncd.cli.output.text import counts_in_words, print_table, shortly
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.rate import humanise_duration
from syncd.core.run import Action, Outcome
from syncd.core.spreadsheet import as_text
from syncd.core.text import plural, printable
from syncd.errors import NothingToSettle
from syncd.state.runs import RunSummary
from syncd.state.views import run_list
from syncd.state.views.documents import run_details_document, run_document
from syncd.state.views.run_list import RunFilter
from syncd.sync.reasons import describe

_COLUMNS: Final = (
    "organisation_id",
    "run",
    "trigger",
    "state",
    "started_at",
    "finished_at",
    "creates",
    "updates",
    "leavers",
    "archivings",
    "returners",
    "held",
    "warnings",
    "unchanged",
    "applied",
    "refused",
    "in_doubt",
    "queued",
    "calls",
    "reason",
    "asked_by",
    "settled_by",
    "settled_at",
    "settled_reason",
    "drift",
    "undone_run",
)


@app.command()
def runs(
    run: Annotated[
        int | None, typer.Argument(metavar="RUN", min=1, max=2**31 - 1, help="The run to show. Omit it to list runs.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also list the runs that found nothing to send.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The number of runs to list.")] = 50,
    json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """List the newest runs, or show one: what it planned, what it sent, and why it was stopped.

    A run that found nothing to send is not listed without --all. 'syncd plan RUN' shows the plan of a run, and
    'syncd history --since' every change.
    """
    if json and as_csv:
        raise typer.BadParameter("cannot be combined with --json", param_hint="--csv")
    with reading_state(config, organisation) as (session, organisations):
        connection = session.connection
        if run is None:
            found = run_list.listing(connection, organisations, RunFilter(quiet_too=everything), first=0, most=limit)
            details, sent = None, {}
        else:
            details = run_list.find(connection, organisations, run)
            if details is None:
                raise NothingToSettle(f"There is no run {run}; 'syncd runs --all' lists the newest.")
            found, sent = [details.summary], run_list.outcomes(connection, run)
    if json:
        print_json(run_details_document(details, sent) if details else [run_document(each) for each in found])
    elif as_csv:
        _print_csv([run_document(each) for each in found])
    elif details:
        _print_one(details.summary, sent)
    else:
        _print_list(found, several=len(organisations) > 1, everything=everything)


def _print_list(found: Sequence[RunSummary], *, several: bool, everything: bool) -> None:
    print_table(
        (
            *(["organisation"] if several else []),
            *("run", "started", "trigger", "state", "planned", "applied", "refused", "in doubt", "queued", "held"),
        ),
        (
            (
                *([each.organisation_id] if several else []),
                *(each.id, shortly(each.started_at), each.trigger, describe(each.state), _planned(each)),
                *(each.applied, each.refused, each.in_doubt, each.queued, each.held),
            )
            for each in found
        ),
        "There are no runs yet." if everything else "No run has found anything to send; --all lists the others.",
    )


def _planned(run: RunSummary) -> int:
    return run.creates + run.updates + run.leavers + run.archivings


def _print_one(run: RunSummary, sent: Mapping[Action, Mapping[Outcome, int]]) -> None:
    took = run.finished_at and humanise_duration(int((run.finished_at - run.started_at).total_seconds()))
    settled = f"{run.settled_by}, {shortly(run.settled_at)}" + (f": {run.settled_reason}" if run.settled_reason else "")
    lines = {
        "run": run.id,
        "organisation": run.organisation_id,
        "trigger": f"{run.trigger}, asked for by {run.asked_by}" if run.asked_by else run.trigger,
        "state": describe(run.state) + (f": {run.reason}" if run.reason else ""),
        "started": shortly(run.started_at),
        "took": took or "not finished",
        **({"settled by": settled} if run.settled_by else {}),
        **({"undoes": f"run {run.undone_run_id}"} if run.undone_run_id else {}),
        **({"drift": plural(run.drift, "account")} if run.drift is not None else {}),
        "planned": counts_in_words(run.counts),
        "held": run.held,
        "warnings": run.warnings,
        "unchanged": run.unchanged,
        "calls": run.calls,
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<15}{printable(str(value))}")
    typer.echo()
    print_table(
        ("action", "outcome", "changes"),
        ((action, describe(outcome), count) for action, by in sent.items() for outcome, count in by.items()),
        "It has sent no changes.",
    )


def _print_csv(documents: Sequence[Mapping[str, Any]]) -> None:
    writer = csv.DictWriter(data_output(), _COLUMNS)
    writer.writeheader()
    for document in documents:
        writer.writerow({name: as_text(cell) if isinstance(cell, str) else cell for name, cell in document.items()})

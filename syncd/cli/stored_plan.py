"""Shows the stored plan of a run, for the command plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from syncd.cli.output.html import print_section, refuse_existing
from syncd.cli.output.json import print_json_object
from syncd.cli.output.steps import every_step, groups_section, print_csv, write_plan_page
from syncd.cli.output.text import counts_in_words, shortly
from syncd.cli.state import store_to_read
from syncd.core.decisions import Decision
from syncd.errors import NothingToSettle
from syncd.settings import Settings
from syncd.state import approvals, plan_steps
from syncd.state.runs import RunSummary
from syncd.state.session import StateSession, reading_session
from syncd.state.views import run_list
from syncd.state.views.plan_listing import step_document
from syncd.sync.reasons import describe
from syncd.wiring.clock import now


@dataclass(frozen=True, slots=True)
class PlanForm:
    """How a plan is shown."""

    json: bool
    as_csv: bool
    html: Path | None
    values: bool

    def check(self) -> None:
        """Raise `typer.BadParameter` for options that exclude each other, `ConfigurationError` for the file."""
        if sum(map(bool, (self.json, self.as_csv, self.html))) > 1:
            raise typer.BadParameter("only one of --json, --csv and --html is possible", param_hint="--json")
        if self.values and not self.html and not self.as_csv:
            raise typer.BadParameter("requires --csv or --html FILE", param_hint="--values")
        if self.html:
            refuse_existing(self.html)


def show_stored_plan(settings: Settings, number: int, form: PlanForm) -> None:
    """Show the stored plan of a run. Raises `NothingToSettle` if there is none."""
    store = store_to_read(settings)
    organisations = settings.onefile.all_organisations
    with reading_session(store, organisations[0], now) as anywhere:
        details = run_list.find(anywhere.connection, organisations, number)
        if details is None:
            raise NothingToSettle(f"There is no run {number}; 'syncd runs' lists the newest.")
        summary = details.summary
        session = anywhere.for_organisation(summary.organisation_id)
        if details.plan_run is None:
            raise NothingToSettle(
                f"Run {number} has no stored plan: it had nothing to send, or a later run replaced it."
            )
        steps = plan_steps.each_step(session, number, with_values=form.values)
        if form.json:
            print_json_object({**_run_document(summary), "steps": map(step_document, steps)})
        elif form.as_csv:
            print_csv(summary.organisation_id, steps, with_values=form.values)
        elif form.html:
            sentences = [*_run_sentences(session, summary)]
            write_plan_page(
                form.html,
                settings,
                [summary.organisation_id],
                f"the plan of run {number}",
                sentences,
                [
                    groups_section(plan_steps.groups(session, number)),
                    *every_step(steps, "", with_values=form.values),
                ],
                with_values=form.values,
            )
            typer.echo(f"The plan is in {form.html}.")
        else:
            for sentence in _run_sentences(session, summary):
                typer.echo(sentence)
            print_section(groups_section(plan_steps.groups(session, number)))
            typer.echo(f"\n'syncd plan {number} --csv' lists every change.")


def _run_document(run: RunSummary) -> dict[str, Any]:
    return {"run": run.id, "organisation_id": run.organisation_id, "state": run.state, "reason": run.reason}


def _run_sentences(session: StateSession, run: RunSummary) -> Iterator[str]:
    """What became of a run's plan: why it stopped, and who decided what."""
    reason = f": {run.reason}" if run.reason else ""
    yield f"Run {run.id} of {shortly(run.started_at)} is {describe(run.state)}{reason}."
    counts = plan_steps.counts_by_decision(session, run.id)
    said = {
        Decision.ALLOWED: "allowed by the guard",
        Decision.APPROVED: "approved",
        Decision.UNDECIDED: "waiting for a decision",
        Decision.REJECTED: "rejected",
    }
    yield ", ".join(f"{counts[decision]:,} {what}" for decision, what in said.items() if counts[decision]) + "."
    for given in approvals.of_run(session, run.id):
        limits = ", ".join(filter(None, (given.part, given.role, given.field)))
        why = f": {given.reason}" if given.reason else ""
        which = f" (only {limits})" if limits else ""
        what = counts_in_words(given.counts)
        yield f"Approved by {given.approved_by} on {shortly(given.approved_at)}: {what}{which}{why}."
    if counts[Decision.REJECTED] and run.settled_by and run.settled_at:
        why = f": {run.settled_reason}" if run.settled_reason else ""
        yield f"Rejected by {run.settled_by} on {shortly(run.settled_at)}{why}."

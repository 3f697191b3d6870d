"""The command status: the state of the whole, read from the state store alone."""

from collections.abc import Mapping

import typer

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption, settings_of
from syncd.cli.output.json import print_json
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.rate import humanise_duration
from syncd.core.records import Reason
from syncd.state.views import status as status_view
from syncd.state.views.documents import moment, onefile_text, status_document
from syncd.state.views.progress import Progress
from syncd.state.views.status import StatusReport
from syncd.sync.reasons import describe


@app.command(rich_help_panel="Looking")
def status(*, json: JsonOption = False, organisation: OrganisationOption = None, config: ConfigOption = None) -> None:
    """Show how things stand: the last run and the next, what waits, who is held."""
    limit = settings_of(config).onefile.calls_per_minute
    with reading_state(config, organisation) as (connection, organisations):
        reports = status_view.status_by_organisation(connection, organisations, limit)
    if json:
        print_json(status_document(reports))
        return
    if len(reports) == 1:
        _print_status(*reports.values())
        return
    for each, report in reports.items():
        typer.echo(f"Organisation {each}")
        _print_status(report)
        typer.echo()


def _print_status(report: StatusReport) -> None:
    last, waiting = report.last_run, report.waiting
    lines = {
        "last run": last
        and f"{last.id} ({last.trigger}), {describe(last.state)}, {moment(last.started_at)}"
        + (f": {last.reason}" if last.reason else ""),
        **({"in progress": _in_progress(report.progress)} if report.progress else {}),
        "next run": moment(report.next_run_at) or "no daemon is running",
        "waiting for approval": waiting and f"run {waiting.id}: {waiting.reason}",
        "accounts": _by_kind(report.accounts),
        "left the MIS": report.leavers,
        "held": _by_kind(report.held),
        "warnings": report.warnings,
        "in doubt": report.in_doubt,
        "OneFile": onefile_text(report.onefile),
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<22}{'none' if value is None else value}")


def _in_progress(progress: Progress) -> str:
    if not progress.planned:
        return f"run {progress.run}: reading and comparing"
    left = f", {humanise_duration(progress.seconds_left)} left" if progress.seconds_left else ""
    return f"run {progress.run}: {progress.begun:,} of {progress.planned:,} changes begun{left}"


def _by_kind(counts: Mapping[str, int] | Mapping[Reason, int]) -> str | None:
    return ", ".join(f"{count} {describe(what)}" for what, count in sorted(counts.items())) or None

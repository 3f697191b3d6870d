"""The command status, read from the state store alone."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import JsonOption, OrganisationOption, settings_of
from syncd.cli.output.json import print_json
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.rate import humanise_duration
from syncd.core.records import Reason
from syncd.state.suspensions import Suspension
from syncd.state.views import status as status_view
from syncd.state.views.documents import onefile_text, status_document
from syncd.state.views.progress import Progress
from syncd.state.views.status import OneFileReachability, StatusReport
from syncd.sync.reasons import describe
from syncd.wiring.clock import now


@app.command()
def status(*, json: JsonOption = False, organisation: OrganisationOption = None, config: ConfigOption = None) -> None:
    """Show the status: last and next run, what waits for approval, accounts, held records, what is in doubt."""
    limit = settings_of(config).onefile.calls_per_minute
    with reading_state(config, organisation) as (session, organisations):
        reports = status_view.status_by_organisation(session, organisations, limit)
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
        "now": f"{now().astimezone():%d %b %Y %H:%M %Z}",
        "MIS read": _local(report.as_of) if report.as_of else "not yet by a run of all records",
        "last run": last
        and f"{last.id} ({last.trigger}), {describe(last.state)}, {_local(last.started_at)}"
        + (f": {last.reason}" if last.reason else ""),
        **({"in progress": _in_progress(report.progress)} if report.progress else {}),
        "next run": _local(report.next_run_at) if report.next_run_at else "no daemon is running",
        "waiting for approval": waiting and f"run {waiting.id}: {waiting.reason}",
        "accounts": _by_kind(report.accounts),
        "left the MIS": report.leavers,
        "held": _by_kind(report.held),
        "warnings": report.warnings,
        "in doubt": report.in_doubt,
        "drift": "not checked yet: 'syncd verify' finds it" if report.drift is None else report.drift,
        **({"suspended": _suspended(report.suspended)} if report.suspended else {}),
        "OneFile": _onefile(report.onefile),
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<22}{'none' if value is None else value}")


def _local(at: datetime) -> str:
    """A time in local time, and how long ago or ahead it is."""
    here = now()
    far = humanise_duration(int(abs((here - at).total_seconds())))
    return f"{at.astimezone():%d %b %Y %H:%M %Z} ({f'{far} ago' if at <= here else f'in {far}'})"


def _onefile(onefile: OneFileReachability) -> str:
    since = onefile.unreachable_since
    return f"unreachable since {_local(since)}" if since else onefile_text(onefile)


def _suspended(suspended: Iterable[Suspension]) -> str:
    return "; ".join(f"{each.sentence}, since {_local(each.since)}" for each in suspended)


def _in_progress(progress: Progress) -> str:
    if not progress.planned:
        return f"run {progress.run}: reading and comparing"
    left = f", {humanise_duration(progress.seconds_left)} left" if progress.seconds_left else ""
    return f"run {progress.run}: {progress.begun:,} of {progress.planned:,} changes started{left}"


def _by_kind(counts: Mapping[str, int] | Mapping[Reason, int]) -> str | None:
    return ", ".join(f"{count} {describe(what)}" for what, count in sorted(counts.items())) or None

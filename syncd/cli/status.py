"""The command status: the state of the whole, read from the state store alone."""

from typing import Any

import typer

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption, settings_of
from syncd.cli.output.json import print_json
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.rate import humanise_duration
from syncd.state.views import status as status_view
from syncd.sync.reasons import describe


@app.command(rich_help_panel="Looking")
def status(*, json: JsonOption = False, organisation: OrganisationOption = None, config: ConfigOption = None) -> None:
    """Show how things stand: the last run and the next, what waits, who is held."""
    limit = settings_of(config).onefile.calls_per_minute
    with reading_state(config, organisation) as (connection, organisations):
        document = status_view.status(connection, organisations, limit)
    if json:
        print_json(document)
        return
    for each, one in document.get("organisations", {}).items():
        typer.echo(f"Organisation {each}")
        _print_status(one)
        typer.echo()
    if "organisations" not in document:
        _print_status(document)


def _print_status(document: dict[str, Any]) -> None:
    last, waiting = document["last_run"], document["awaiting_approval"]
    lines = {
        "last run": last
        and f"{last['run']} ({last['trigger']}), {describe(last['state'])}, {last['started_at']}"
        + (f": {last['reason']}" if last["reason"] else ""),
        **({"at work": _at_work(document["progress"])} if document["progress"] else {}),
        "next run": document["next_run_at"] or "no daemon is running",
        "waiting for approval": waiting and f"run {waiting['run']}: {waiting['reason']}",
        "accounts": _counted(document["accounts"]),
        "left the MIS": document["leavers"],
        "held": _counted(document["held"]),
        "warnings": document["warnings"],
        "in doubt": document["in_doubt"],
        "OneFile": document["onefile"],
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<22}{'none' if value is None else value}")


def _at_work(progress: dict[str, Any]) -> str:
    if not progress["planned"]:
        return f"run {progress['run']}: reading and comparing"
    left = f", {humanise_duration(progress['seconds_left'])} left" if progress["seconds_left"] else ""
    return f"run {progress['run']}: {progress['begun']:,} of {progress['planned']:,} changes begun{left}"


def _counted(counts: dict[str, int]) -> str | None:
    return ", ".join(f"{count} {describe(what)}" for what, count in sorted(counts.items())) or None

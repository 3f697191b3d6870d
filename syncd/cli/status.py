"""The command status: the state of the whole, read from the state store alone."""

import re
from datetime import datetime
from typing import Any, Final

import typer

from syncd.cli.options import ConfigOption, JsonOption, OrganisationOption, settings_of
from syncd.cli.output.json import print_json
from syncd.cli.program import app
from syncd.cli.state import reading_state
from syncd.core.rate import humanise_duration
from syncd.state.views import status as status_view
from syncd.sync.reasons import describe
from syncd.wiring.clock import now

#: As the JSON document has it.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


@app.command(rich_help_panel="Looking")
def status(*, json: JsonOption = False, organisation: OrganisationOption = None, config: ConfigOption = None) -> None:
    """Show the status: last and next run, what waits for approval, accounts, held records, what is in doubt."""
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
        "as of": f"{now().astimezone():%d %b %Y %H:%M %Z}",
        "last run": last
        and f"{last['run']} ({last['trigger']}), {describe(last['state'])}, {_local(last['started_at'])}"
        + (f": {last['reason']}" if last["reason"] else ""),
        **({"in progress": _progress(document["progress"])} if document["progress"] else {}),
        "next run": _local(document["next_run_at"]) if document["next_run_at"] else "no daemon is running",
        "waiting for approval": waiting and f"run {waiting['run']}: {waiting['reason']}",
        "accounts": _counted(document["accounts"]),
        "left the MIS": document["leavers"],
        "held": _counted(document["held"]),
        "warnings": document["warnings"],
        "in doubt": document["in_doubt"],
        "OneFile": _TIME.sub(lambda found: _local(found[0]), document["onefile"]),
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<22}{'none' if value is None else value}")


def _local(text: str) -> str:
    """A moment of the JSON document in local time, and how far away it is."""
    at, here = datetime.fromisoformat(text), now()
    far = humanise_duration(int(abs((here - at).total_seconds())))
    return f"{at.astimezone():%d %b %Y %H:%M %Z} ({f'{far} ago' if at <= here else f'in {far}'})"


def _progress(progress: dict[str, Any]) -> str:
    if not progress["planned"]:
        return f"run {progress['run']}: reading and comparing"
    left = f", {humanise_duration(progress['seconds_left'])} left" if progress["seconds_left"] else ""
    return f"run {progress['run']}: {progress['begun']:,} of {progress['planned']:,} changes started{left}"


def _counted(counts: dict[str, int]) -> str | None:
    return ", ".join(f"{count} {describe(what)}" for what, count in sorted(counts.items())) or None

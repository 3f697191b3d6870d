"""The command retry: lets the next run retry held records."""

from typing import Annotated

import typer

from syncd.cli.options import ConfigOption, OrganisationOption, organisations_of, settings_of
from syncd.cli.program import app
from syncd.core.text import plural
from syncd.state import held_records
from syncd.state.session import writing_session
from syncd.wiring.clock import now
from syncd.wiring.store import open_store


@app.command(rich_help_panel="Deciding")
def retry(
    misid: Annotated[
        list[str] | None,
        typer.Argument(metavar="MISID", help="The MISIDs to retry. Omit it to retry every refused record."),
    ] = None,
    *,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Let the next run retry records that OneFile refused.

    For a record held as "rekeyed?", this confirms it is a new person who needs a new account. Records held for other
    reasons need no retry: every run checks them again.
    """
    settings = settings_of(config)
    store = open_store(settings)
    organisations = organisations_of(settings, organisation)
    with writing_session(store, organisations[0], now) as session:
        count = sum(held_records.retry(session.for_organisation(each), misid or []) for each in organisations)
    if not count:
        typer.echo("There is nothing to retry: 'syncd held' lists the held records, and every run checks them again.")
        return
    typer.echo(f"The next run retries {plural(count, 'held record')}.")

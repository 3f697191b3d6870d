"""The command retry: lets held records be tried again."""

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
        list[str] | None, typer.Argument(metavar="MISID", help="Whom; everybody who was refused if left out.")
    ] = None,
    *,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Let the next run send again what OneFile has refused.

    Of somebody held as "rekeyed?" and named here it says that they are somebody new, who is to have an account of
    their own. Records held for another reason need no retry: every run looks at them afresh.
    """
    settings = settings_of(config)
    store = open_store(settings)
    organisations = organisations_of(settings, organisation)
    with writing_session(store, organisations[0], now) as session:
        count = sum(held_records.retry(session.for_organisation(each), misid or []) for each in organisations)
    if not count:
        typer.echo("There is nothing to try again: 'syncd held' lists who is held, and every run looks at them afresh.")
        return
    typer.echo(f"{plural(count, 'held record')} will be tried again by the next run.")

"""The command retry: lets held records be tried again."""

from typing import Annotated

import typer

from syncd.cli.options import ConfigOption, OrganisationOption, organisations_of, settings_of
from syncd.cli.program import app
from syncd.core.text import plural
from syncd.state import held_records
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
    with open_store(settings).begin() as connection:
        organisations = organisations_of(settings, organisation)
        count = sum(held_records.retry(connection, each, misid or [], now()) for each in organisations)
    if not count:
        typer.echo("There is nothing to try again: 'syncd held' lists who is held, and every run looks at them afresh.")
        return
    typer.echo(f"{plural(count, 'held record')} will be tried again by the next run.")

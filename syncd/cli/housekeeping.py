"""db: the state store's schema."""

import typer

from syncd.cli.common import ConfigOption, settings_of
from syncd.cli.program import app
from syncd.state.schema import NEWEST
from syncd.wiring.store import bare_store

db = typer.Typer(no_args_is_help=True, help="Look at the state store's schema, and bring it up to date.")
app.add_typer(db, name="db", rich_help_panel="Setting up")


@db.command()
def upgrade(*, config: ConfigOption = None) -> None:
    """Bring the schema up to date. Runs do so by themselves unless state.auto_upgrade is false."""
    store = bare_store(settings_of(config))
    before = store.revision()
    store.upgrade()
    after = store.revision()
    typer.echo(
        f"The schema is at {after}" + (", as it was." if before == after else f"; it was {before or 'not there'}.")
    )


@db.command()
def current(*, config: ConfigOption = None) -> None:
    """Show which migration the schema is at, and which one this syncd needs."""
    store = bare_store(settings_of(config))
    typer.echo(f"The schema is at {store.revision() or 'nothing yet'}; this syncd needs {NEWEST}.")

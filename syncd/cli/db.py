"""db: looking after the state store."""

from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.options import ConfigOption, settings_of
from syncd.cli.program import app
from syncd.errors import ConfigurationError
from syncd.state.db import maintenance
from syncd.state.db.schema import NEWEST
from syncd.wiring.store import bare_store, open_store, open_store_to_read

db = typer.Typer(
    no_args_is_help=True, help="Look after the state store: is it sound, its schema, a copy of it, its encryption."
)
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


@db.command()
def check(*, config: ConfigOption = None) -> None:
    """Check that the state store is sound: its file, its tables, what is encrypted in it, and the mapping.

    Ends with 1, and a sentence for each defect, when it is not.
    """
    defects = list(maintenance.defects(open_store_to_read(settings_of(config))))
    for defect in defects:
        typer.echo(defect, err=True)
    if defects:
        raise typer.Exit(1)
    typer.echo("The state store is sound.")


@db.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not be there yet.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Copy the state store while it is in use. It holds personal values, encrypted only if a key is set.

    Whatever its schema: make one before every upgrade. SQLite is copied by its own backup: to restore it, put the copy
    in the store's place while no syncd runs, and delete what is beside it with -wal and -shm at its end.
    PostgreSQL is copied by pg_dump, and restored by 'pg_restore --clean --if-exists'.
    """
    maintenance.backup(bare_store(settings_of(config)), file)
    typer.echo(f"The state store is copied to {file}.")


@db.command()
def reseal(*, config: ConfigOption = None) -> None:
    """Encrypt everything in the state store anew with the first of the configured keys.

    To change the key, put the new one in front of the old with a comma between, run this, and take the old one out.
    """
    store = open_store(settings_of(config))
    if not store.cipher.has_key:
        raise ConfigurationError("There is no encryption key: set SYNCD_STATE__ENCRYPTION_KEY.")
    typer.echo(f"{maintenance.reencrypt(store)} values are encrypted with the first key.")

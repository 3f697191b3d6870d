"""The command db: maintain the state store."""

from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import settings_of
from syncd.cli.program import app
from syncd.cli.state import store_to_read
from syncd.errors import ConfigurationError
from syncd.state.db import maintenance
from syncd.state.db.schema import NEWEST
from syncd.wiring.store import bare_store, open_store
from syncd.wiring.store import upgrade as upgrade_store

db = typer.Typer(no_args_is_help=True, help="Maintain the state store: schema, check, backup, encryption.")
app.add_typer(db, name="db")


@db.command()
def upgrade(*, config: ConfigOption = None) -> None:
    """Upgrade the schema. 'run' and 'sync' do this by themselves unless state.auto_upgrade is false.

    Commands that only read, such as 'status', refuse an older schema. The store of another OneFile is not upgraded.
    """
    settings = settings_of(config)
    before = upgrade_store(bare_store(settings), settings)
    typer.echo(
        f"The schema is at {NEWEST}"
        + ("; nothing to upgrade." if before == NEWEST else f"; it was at {before or 'none'}.")
    )


@db.command()
def current(*, config: ConfigOption = None) -> None:
    """Show the schema's revision, and the revision that this version of syncd needs."""
    store = bare_store(settings_of(config))
    typer.echo(f"The schema is at {store.revision() or 'none'}; this version of syncd needs {NEWEST}.")


@db.command()
def check(*, config: ConfigOption = None) -> None:
    """Check the state store: file, tables, encrypted values, and the mapping of MISIDs to UserIDs.

    Exit codes: 0 no defects found; 1 defects, one line each.
    """
    defects = list(maintenance.defects(store_to_read(settings_of(config), checks_key=False)))
    for defect in defects:
        typer.echo(defect, err=True)
    if defects:
        raise typer.Exit(1)
    typer.echo("The state store has no defects.")


@db.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write. It must not exist yet.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Back up the state store, also while it is in use. Make a backup before every upgrade.

    The backup holds personal values, encrypted only if a key is set.

    To restore SQLite: stop syncd, replace the store with the backup, and delete the files with the endings -wal and
    -shm beside it. PostgreSQL is backed up with pg_dump; the command prints the call of pg_restore that restores it.
    """
    store = bare_store(settings_of(config))
    maintenance.backup(store, file)
    typer.echo(f"The state store is backed up to {file}.")
    if command := maintenance.restore_command(store, file):
        password = ", with state.password in the variable PGPASSWORD" if store.url.password else ""
        typer.echo(f"To restore it, stop syncd, then run{password}:\n{command}")


@db.command()
def reseal(*, config: ConfigOption = None) -> None:
    """Re-encrypt every value in the state store with the first of the configured keys.

    To change the key: set 'NEW,OLD' as the encryption key, run this command, then remove OLD.
    """
    store = open_store(settings_of(config))
    if not store.cipher.has_key:
        raise ConfigurationError("No encryption key is set: set SYNCD_STATE__ENCRYPTION_KEY.")
    typer.echo(f"{maintenance.reencrypt(store)} values are now encrypted with the first key.")

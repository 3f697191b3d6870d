"""The command credentials: export the first passwords of new accounts."""

import csv
import os
from collections.abc import Iterable
from dataclasses import astuple, fields
from io import StringIO
from pathlib import Path
from typing import Annotated, Final

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import set_up_logs, settings_of, whoami
from syncd.cli.program import app
from syncd.cli.state import store_to_read
from syncd.core.spreadsheet import as_text
from syncd.errors import ConfigurationError
from syncd.state.credentials import FirstPassword, take
from syncd.state.session import writing_session
from syncd.wiring.clock import now

credentials = typer.Typer(no_args_is_help=True, help="Export the first passwords of new accounts.")
app.add_typer(credentials, name="credentials")

_COLUMNS: Final = tuple(column.name for column in fields(FirstPassword))


@credentials.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write. It must not exist yet.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Write the first passwords of new accounts to a CSV file, once, and erase them from the state store.

    syncd has first passwords only if an encryption key is set and Keychain creation is off in OneFile. Only the
    owner of the file can read it; delete it after handing the passwords over.

    Exit codes: 0 done, or no passwords (then no file is written); 1 error, nothing was erased.
    """
    settings = settings_of(config)
    log = set_up_logs(settings)
    store = store_to_read(settings)
    if not store.cipher.has_key:
        raise ConfigurationError(
            "No encryption key is set, so syncd keeps no first passwords: set SYNCD_STATE__ENCRYPTION_KEY."
        )
    organisations = settings.onefile.all_organisations
    # The transaction ends after the file is on disk, so that no password is erased before it is written.
    with writing_session(store, organisations[0], now) as session:
        taken = [one for each in organisations for one in take(session.for_organisation(each))]
        if taken:
            write_passwords(file, taken)
    if not taken:
        typer.echo("There are no first passwords to export; no file was written.")
        return
    log.info("credentials_exported", count=len(taken), by=whoami())
    typer.echo(
        f"{len(taken)} first password{'s are' if len(taken) > 1 else ' is'} in {file} and erased from the state store. "
        "Delete the file after handing them over."
    )


def write_passwords(file: Path, taken: Iterable[FirstPassword]) -> None:
    """Write the CSV and sync it to disk; a failed write removes the file. Raises `ConfigurationError`."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows([as_text(cell) if isinstance(cell, str) else cell for cell in astuple(one)] for one in taken)
    try:
        # Created with mode 0600: no other user can ever read it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Without the byte order mark, a spreadsheet would misread accents.
            with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as stream:
                stream.write(text.getvalue())
                stream.flush()
                os.fsync(descriptor)
            _fsync_folder(file.absolute().parent)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise ConfigurationError(
            f"{file} already exists and is not overwritten; no password was erased. Name another file."
        ) from None
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be written: {problem.strerror}. No password was erased.") from None


def _fsync_folder(folder: Path) -> None:
    """Sync the file's name to disk too, if the system can."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

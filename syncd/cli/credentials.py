"""credentials: handing over the first passwords of new accounts."""

import csv
import os
from collections.abc import Iterable
from dataclasses import astuple, fields
from io import StringIO
from pathlib import Path
from typing import Annotated, Final

import typer

from syncd.cli.options import ConfigOption, set_up_logs, settings_of, whoami
from syncd.cli.program import app
from syncd.errors import ConfigurationError
from syncd.state.credentials import FirstPassword, take
from syncd.state.session import writing_session
from syncd.wiring.clock import now
from syncd.wiring.store import open_store_to_read

credentials = typer.Typer(no_args_is_help=True, help="Hand over the first passwords of new accounts.")
app.add_typer(credentials, name="credentials", rich_help_panel="Running")

_COLUMNS: Final = tuple(column.name for column in fields(FirstPassword))


@credentials.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not be there yet.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Write the first passwords of new accounts to a CSV file, once: they are then erased from the state store.

    They are kept only where an encryption key is set and OneFile tells them, as it does while Keychain creation is
    off. The file is for its owner's eyes only; delete it when they are handed over.
    Ends with 0, also when there are none and no file is written, and with 1 when nothing was handed over.
    """
    settings = settings_of(config)
    log = set_up_logs(settings)
    store = open_store_to_read(settings)
    if not store.cipher.has_key:
        raise ConfigurationError(
            "There is no encryption key, and without one no first passwords are kept: set SYNCD_STATE__ENCRYPTION_KEY."
        )
    organisations = settings.onefile.all_organisations
    # What cannot be written is not erased: only once the file is safe on its disk does the transaction end.
    with writing_session(store, organisations[0], now) as session:
        taken = [one for each in organisations for one in take(session.for_organisation(each))]
        if taken:
            write_passwords(file, taken)
    if not taken:
        typer.echo("There are no first passwords to hand over; no file was written.")
        return
    log.info("credentials_exported", count=len(taken), by=whoami())
    typer.echo(
        f"{len(taken)} first password{'s are' if len(taken) > 1 else ' is'} in {file}, and nowhere else any more. "
        "Delete it when they are handed over."
    )


def write_passwords(file: Path, taken: Iterable[FirstPassword]) -> None:
    """Write the CSV and see it safe on its disk; what could not be is taken away again. Raises `ConfigurationError`."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows(map(astuple, taken))
    try:
        # Nobody else may read it, from its first moment on.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Without the mark at its beginning a spreadsheet would take accents for something else.
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
            f"{file} is there already and is not overwritten; nothing was handed over. Name another file."
        ) from None
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be written: {problem.strerror}. Nothing was handed over.") from None


def _fsync_folder(folder: Path) -> None:
    """Make sure of the file's name too, where the system has a way to."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

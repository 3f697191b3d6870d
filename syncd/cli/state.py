"""The state store as commands read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from syncd.cli.options import organisations_of, settings_of
from syncd.settings import Settings
from syncd.state.db.store import Store
from syncd.state.session import StateSession, reading_session
from syncd.wiring.clock import now
from syncd.wiring.store import missing, open_store_to_read


@contextmanager
def reading_state(config: Path | None, organisation: int | None) -> Iterator[tuple[StateSession, tuple[int, ...]]]:
    """A read-only session for the first of the command's organisations, and all of them.

    Raises `StateUnusable`.
    """
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    with reading_session(store_to_read(settings), organisations[0], now) as session:
        yield session, organisations


def store_to_read(settings: Settings, *, checks_key: bool = True) -> Store:
    """The state store for a command that only reads; if there is none yet, an empty one, and a note on standard error.

    Without ``checks_key``, values that the key does not decrypt are no error.
    Raises `StateUnusable`, `ConfigurationError`.
    """
    return open_store_to_read(settings, _note_missing, checks_key=checks_key)


def _note_missing(store: Store) -> None:
    typer.echo(missing(store), err=True)

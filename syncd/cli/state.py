"""The state store as commands read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from syncd.cli.options import organisations_of, settings_of
from syncd.wiring.store import open_store_to_read


@contextmanager
def reading_state(config: Path | None, organisation: int | None) -> Iterator[tuple[Connection, tuple[int, ...]]]:
    """A connection that only reads, and the organisations that the command is about. Raises `StateUnusable`."""
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    with open_store_to_read(settings).reading() as connection:
        yield connection, organisations

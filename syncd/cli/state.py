"""The state store as commands read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.cli.options import organisations_of, settings_of
from syncd.state.session import StateSession, reading_session
from syncd.wiring.clock import now
from syncd.wiring.store import open_store_to_read


@contextmanager
def reading_state(config: Path | None, organisation: int | None) -> Iterator[tuple[StateSession, tuple[int, ...]]]:
    """A read-only session for the first of the command's organisations, and all of them.

    Raises `StateUnusable`.
    """
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    with reading_session(open_store_to_read(settings), organisations[0], now) as session:
        yield session, organisations

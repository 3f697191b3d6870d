"""The processes of a PostgreSQL, which a test has stand still."""

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text


class Backends:
    """The server's processes for the connections to a database."""

    def __init__(self, url: str) -> None:
        self._name = make_url(url).database
        self._administrator = create_engine(make_url(url).set(database="postgres"), poolclass=NullPool)
        self._frozen: list[int] = []

    def freeze(self) -> None:
        """Have all that there are stand still."""
        with self._administrator.connect() as connection:
            query = text("SELECT pid FROM pg_stat_activity WHERE datname = :name")
            self._frozen += connection.scalars(query, {"name": self._name})
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Have them go on."""
        while self._frozen:
            os.kill(self._frozen.pop(), signal.SIGCONT)


@pytest.fixture
def backends(postgres_url: str) -> Iterator[Backends]:
    """Those of the database of the test's own; at its end they go on."""
    backends = Backends(postgres_url)
    yield backends
    backends.thaw()

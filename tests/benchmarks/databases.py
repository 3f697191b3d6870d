"""Databases to measure with: new ones, which are gone afterwards."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import TypeAlias
from uuid import uuid4

import psycopg
from sqlalchemy import NullPool, create_engine, make_url

from tests.support.databases import running_postgres

Make: TypeAlias = Callable[[str], str]
"""Takes ``sqlite`` or ``postgresql``, gives the URL of a new database."""


@contextmanager
def databases(*, with_postgres: bool, connections: int = 0) -> Iterator[tuple[Path, Make]]:
    """A folder, and what makes databases; all of it is gone at the end.

    PostgreSQL takes so many ``connections``, or as many as it does by default.
    """
    folder = Path(gettempdir(), f"syncd-benchmarks-{uuid4().hex}")
    folder.mkdir(mode=0o700)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # Beside the folder and not in it: when root measures, the server runs as another user, who must get there.
        beside = folder.with_name(f"{folder.name}-postgres")
        server = make_url(stack.enter_context(_taking(connections, beside))) if with_postgres else None

        def make(kind: str) -> str:
            name = f"syncd_{uuid4().hex}"
            if server is None or kind == "sqlite":
                return f"sqlite:///{folder / name}.db"
            url = server.set(drivername="postgresql+psycopg")
            engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            return url.set(database=name).render_as_string(hide_password=False)

        yield folder, make


@contextmanager
def _taking(connections: int, folder: Path) -> Iterator[str]:
    """A PostgreSQL that takes so many connections; its URL."""
    with running_postgres(folder) as server:
        if connections:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"ALTER SYSTEM SET max_connections = {connections}".encode())
            server.stop()
            server.ensure_postgres_running()
        yield server.get_uri()

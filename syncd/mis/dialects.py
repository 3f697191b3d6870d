"""What differs between kinds of database: driver, port, options, and how a connection is made read-only."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection


@dataclass(frozen=True, slots=True)
class DatabaseKind:
    """A kind of database, with the driver that syncd installs or has an extra for."""

    name: str
    """Its name in messages."""
    drivername: str
    """SQLAlchemy's name of the kind and the driver; also used for a URL that names no driver."""
    port: int | None = None
    """The server's default port."""
    extra: str = ""
    """The extra that installs the driver; empty if syncd always installs it."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Default options of the driver, unless the URL has them."""
    engine_options: Mapping[str, str] = field(default_factory=dict)
    """Options of SQLAlchemy's engine for that driver."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options of the driver that accept only these words."""
    subquery_advice: str = "Change the query so that it can stand there"
    """What to do if a query does not work in parentheses in another SELECT."""
    clock: str = ""
    """Returns the time of the server, in the zone of its time stamps and in UTC; empty if it has no clock."""
    prepare_connection: Callable[[Connection, float, str], None] = lambda _connection, _seconds, _time_zone: None
    """Makes a new connection read-only, and limits each statement to this many seconds.

    It also has the server return values in the forms that syncd reads, and moments in this time zone if it converts
    them.
    """
    cancel: Callable[[Connection], object] | None = None
    """Asks the server, from another thread, to end the connection's query; ``None`` if the driver has no way to."""


#: The forms in which syncd reads values; a server, a database or a role may have others by default. A database in
#: SQL_ASCII does not know its encoding, so its text is read as bytes.
_POSTGRESQL_FORMS: Final = """
SELECT set_config('DateStyle', 'ISO', true), set_config('IntervalStyle', 'postgres', true),
       set_config('TimeZone', '{time_zone}', true), set_config('extra_float_digits', '1', true),
       set_config('statement_timeout', '{milliseconds}', true)
"""


#: Time stamps without a zone are in the zone of the program that wrote them, as a rule the database's own, or in that
#: of syncd's session if the query makes them of others: the later of the two.
_POSTGRESQL_CLOCK: Final = """
SELECT GREATEST(LOCALTIMESTAMP, CURRENT_TIMESTAMP AT TIME ZONE reset_val), CURRENT_TIMESTAMP AT TIME ZONE 'UTC'
FROM pg_settings WHERE name = 'TimeZone'
"""


def _prepare_postgresql(connection: Connection, seconds: float, time_zone: str) -> None:
    # For this transaction only: behind a pooler another program uses the session next.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    milliseconds = _milliseconds(seconds)
    connection.exec_driver_sql(_POSTGRESQL_FORMS.format(time_zone=time_zone, milliseconds=milliseconds))


def _cancel_postgresql(connection: Connection) -> None:
    driver = connection.connection.dbapi_connection
    # psycopg2 has only the other one, which sends the request without TLS.
    getattr(driver, "cancel_safe", driver.cancel)()  # type: ignore[union-attr]


def _prepare_mysql(connection: Connection, seconds: float, _time_zone: str) -> None:
    is_mariadb = getattr(connection.dialect, "is_mariadb", False)
    limit = f"max_statement_time = {seconds:.3f}" if is_mariadb else f"max_execution_time = {_milliseconds(seconds)}"
    connection.exec_driver_sql(f"SET SESSION {limit}")
    # A statement that commits implicitly, such as CREATE, would end the transaction and begin another one.
    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    connection.exec_driver_sql("START TRANSACTION READ ONLY")


def _cancel_mysql(connection: Connection) -> None:
    number = connection.connection.dbapi_connection.thread_id()  # type: ignore[union-attr]
    with connection.engine.connect() as another:
        another.exec_driver_sql(f"KILL QUERY {number}")


def _prepare_oracle(connection: Connection, seconds: float, _time_zone: str) -> None:
    _set_on_driver(connection, "call_timeout", _milliseconds(seconds))
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _cancel_oracle(connection: Connection) -> None:
    connection.connection.dbapi_connection.cancel()  # type: ignore[union-attr]


def _prepare_mssql(connection: Connection, seconds: float, _time_zone: str) -> None:
    _set_on_driver(connection, "timeout", math.ceil(seconds))
    # In a deadlock with a writer of the MIS, the server stops syncd's query.
    connection.exec_driver_sql("SET DEADLOCK_PRIORITY LOW")
    # Otherwise the counts of a procedure's other statements come before its rows.
    connection.exec_driver_sql("SET NOCOUNT ON")


def _prepare_sqlite(connection: Connection, _seconds: float, _time_zone: str) -> None:
    # This includes attached databases. The file itself is opened read-only.
    connection.exec_driver_sql("PRAGMA query_only = ON")
    # All statements read the same state of the database.
    connection.exec_driver_sql("BEGIN")


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _set_on_driver(connection: Connection, name: str, value: int) -> None:
    setattr(connection.connection.dbapi_connection, name, value)


_MYSQL_CLOCK: Final = "SELECT NOW(6), UTC_TIMESTAMP(6)"
_MYSQL_OPTIONS: Final = {"connect_timeout": "15", "program_name": "syncd"}

#: With which option other drivers tell the server the name of the program, which its administrators see.
_PROGRAM_NAME_OPTIONS: Final = {"mssql+pyodbc": {"APP": "syncd"}, "postgresql+psycopg2": {"application_name": "syncd"}}

DATABASE_KINDS: Final = {
    "sqlite": DatabaseKind("SQLite", "sqlite+pysqlite", prepare_connection=_prepare_sqlite),
    "postgresql": DatabaseKind(
        "PostgreSQL",
        "postgresql+psycopg",
        port=5432,
        # A connection to a server that has disappeared ends within two minutes.
        options={
            "connect_timeout": "15",
            "keepalives_idle": "60",
            "keepalives_interval": "15",
            "keepalives_count": "4",
            "application_name": "syncd",
            # SQLAlchemy cannot connect to a database without an encoding (SQL_ASCII), in which text is bytes.
            "client_encoding": "utf8",
        },
        clock=_POSTGRESQL_CLOCK,
        prepare_connection=_prepare_postgresql,
        cancel=_cancel_postgresql,
    ),
    "mysql": DatabaseKind(
        "MySQL",
        "mysql+pymysql",
        port=3306,
        options=_MYSQL_OPTIONS,
        clock=_MYSQL_CLOCK,
        prepare_connection=_prepare_mysql,
        cancel=_cancel_mysql,
    ),
    "mariadb": DatabaseKind(
        "MariaDB",
        "mariadb+pymysql",
        port=3306,
        options=_MYSQL_OPTIONS,
        clock=_MYSQL_CLOCK,
        prepare_connection=_prepare_mysql,
        cancel=_cancel_mysql,
    ),
    "mssql": DatabaseKind(
        "SQL Server",
        "mssql+mssqlpython",
        port=1433,
        extra="mssql",
        # In an availability group, a readable replica.
        options={"ApplicationIntent": "ReadOnly"},
        choices={
            "TrustServerCertificate": ("yes", "no"),
            "Trusted_Connection": ("yes", "no"),
            "MultiSubnetFailover": ("yes", "no"),
            "Encrypt": ("yes", "no", "strict", "mandatory", "optional"),
        },
        subquery_advice="A batch or a procedure cannot stand there: write the query as one SELECT, or make it a view",
        clock="SELECT SYSDATETIME(), SYSUTCDATETIME()",
        prepare_connection=_prepare_mssql,
    ),
    "oracle": DatabaseKind(
        "Oracle",
        "oracle+oracledb",
        port=1521,
        extra="oracle",
        options={"program": "syncd"},
        # A value that cannot be decoded must not end the reading.
        engine_options={"encoding_errors": "replace"},
        clock="SELECT CAST(SYSDATE AS TIMESTAMP), SYS_EXTRACT_UTC(SYSTIMESTAMP) FROM dual",
        prepare_connection=_prepare_oracle,
        cancel=_cancel_oracle,
    ),
}

#: Another name that PostgreSQL's own tools accept.
_ALIASES: Final = {"postgres": "postgresql"}


def kind_of(url: URL) -> DatabaseKind:
    """Return the kind that a URL names; for an unknown one, a kind without defaults."""
    backend = url.get_backend_name() if "+" in url.drivername else url.drivername
    backend = _ALIASES.get(backend, backend)
    return DATABASE_KINDS.get(backend, DatabaseKind(backend, url.drivername))


def complete_url(url: URL, kind: DatabaseKind, seconds: float) -> URL:
    """Return the URL with syncd's driver if it names none, and with the default options that it does not have."""
    if "+" not in url.drivername:
        url = url.set(drivername=kind.drivername)
    if file := sqlite_file(url):
        # By default SQLite creates a missing file, and locks an existing one.
        query = {**url.query, "mode": "ro", "uri": "true"}
        return url.set(database=f"file:{file.absolute().as_uri().removeprefix('file://')}", query=query)
    if url.drivername != kind.drivername:
        return _with_defaults(url, _PROGRAM_NAME_OPTIONS.get(url.drivername, {}))
    options = dict(kind.options)
    if url.drivername.endswith("+pymysql"):
        # Longer than a statement may take: this is for a server that has disappeared.
        options["read_timeout"] = str(math.ceil(seconds) + 30)
    return _with_defaults(url, options)


def _with_defaults(url: URL, options: Mapping[str, str]) -> URL:
    """Return the URL with the options that it does not have."""
    given = {name.lower() for name in url.query}
    return url.update_query_dict({name: value for name, value in options.items() if name.lower() not in given})


def port_of(url: URL, kind: DatabaseKind) -> int | None:
    """Return the server's port; ``None`` if it is unknown, as for a named instance of SQL Server."""
    if url.port is not None:
        return url.port
    return None if url.host is None or "\\" in url.host else kind.port


def check_choices(url: URL, kind: DatabaseKind) -> None:
    """Raise `ValueError` if an option has a word that the driver does not accept, such as ``true`` for ``yes``."""
    if url.drivername not in {kind.drivername, kind.drivername.partition("+")[0]}:
        return
    known = {name.lower(): (name, choices) for name, choices in kind.choices.items()}
    for given, value in url.query.items():
        name, choices = known.get(given.lower(), (given, ()))
        if choices and str(value).lower() not in choices:
            meant = {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(str(value).lower())
            allowed = [meant] if meant else choices
            raise ValueError(
                f"{name} has a value that the driver does not accept. "
                f"Write {' or '.join(f'{name}={word}' for word in allowed)}"
            )


def has_option(url: URL, name: str, value: str) -> bool:
    """Whether the URL has the option with this value, in any letter case."""
    return any(
        given.lower() == name.lower() and str(said).lower() == value.lower() for given, said in url.query.items()
    )


def sqlite_file(url: URL) -> Path | None:
    """Return the file that a SQLite URL names; ``None`` for ``:memory:`` and ``file:`` URIs."""
    database = url.database
    if not url.drivername.startswith("sqlite") or not database or database.startswith((":memory:", "file:")):
        return None
    return Path(database)


def is_truncated(file: Path) -> bool:
    """Whether a SQLite file ends inside a page; SQLite would read the rest as zeros. Raises `OSError`."""
    with file.open("rb") as content:
        header = content.read(100)
        size = content.seek(0, 2)
    page = int.from_bytes(header[16:18], "big")
    # 1 means the largest size, which does not fit into two bytes.
    return header.startswith(b"SQLite format 3\0") and size % (65536 if page == 1 else max(page, 512)) != 0

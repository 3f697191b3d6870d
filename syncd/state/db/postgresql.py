"""Connections to PostgreSQL with a limit on its silence, because a frozen server keeps a connection and never answers.

A limit of the server's own, such as statement_timeout, does not help: a process that stands still does not count time.
"""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final

from psycopg import Connection, OperationalError
from psycopg.abc import RV, PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from syncd.errors import StateUnusable

#: For how long the server may send nothing while syncd waits for it; also the limit for a network that is cut.
ANSWER_SECONDS: Final = 30.0
#: The same once syncd is to stop, and again once the server has kept silent since.
STOPPING_SECONDS: Final = 3.0
SILENT_SECONDS: Final = 0.5

_CONNECT_SECONDS: Final = 10
#: The shortest that libpq takes.
_CONNECT_WHILE_STOPPING_SECONDS: Final = 2
_FORMS: Final = """
SELECT set_config('DateStyle', 'ISO', false), set_config('IntervalStyle', 'postgres', false),
       set_config('TimeZone', 'UTC', false), set_config('client_encoding', 'UTF8', false),
       set_config('extra_float_digits', '1', false)
"""
#: A connection that is idle when the network is cut is found to be dead within a minute.
_TCP: Final = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": int(ANSWER_SECONDS * 1000),
}


def connection_string(options: Mapping[str, Any]) -> str:
    """Return what PostgreSQL's own programs take for these options of a connection; without the password."""
    known = {each.keyword.decode() for each in Conninfo.get_defaults()} - {"password"}
    return make_conninfo(**{name: value for name, value in options.items() if name in known})


class Patience:
    """How long to wait for the server; ``is_stopping`` returns whether this process is to end soon."""

    def __init__(self, is_stopping: Callable[[], bool]) -> None:
        self._is_stopping = is_stopping
        self._is_silent = False

    @property
    def seconds(self) -> float:
        """For how long the server may send nothing."""
        if not self._is_stopping():
            return ANSWER_SECONDS
        return SILENT_SECONDS if self._is_silent else STOPPING_SECONDS

    def note_silence(self) -> None:
        """The server has sent nothing for that long."""
        self._is_silent = self._is_stopping()

    def connect(self, arguments: list[Any], options: dict[str, Any]) -> "LimitedConnection":
        """Return a new connection; what its URL says about time limits counts.

        Raises `psycopg.Error`, and `StateUnusable` for a database that cannot hold every name.
        """
        if self._is_silent and self._is_stopping():
            raise OperationalError("the server does not answer, and syncd is to stop")
        limit = _CONNECT_WHILE_STOPPING_SECONDS if self._is_stopping() else _CONNECT_SECONDS
        connection = LimitedConnection.connect(
            *arguments, **{"connect_timeout": limit, **_TCP, **options, "client_encoding": "UTF8"}
        )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in {"UTF8", None}:
            name = connection.info.dbname
            connection.close()
            raise StateUnusable(
                f"The state store cannot be used: the database {name} has the encoding {encoding}, which cannot hold "
                "every name. Create one for state.url with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
            )
        connection.patience = self
        _set_forms(connection)
        return connection


class LimitedConnection(Connection[Any]):
    """A connection that is closed, and raises `psycopg.OperationalError`, if the server keeps silent for too long."""

    patience: Patience | None = None
    """``None`` for no limit, as for a migration, which may take long and sends nothing meanwhile."""

    def wait(self, gen: PQGen[RV], *arguments: Any, **options: Any) -> RV:
        """Wait for the server, as every method does that needs its answer."""
        patience = self.patience
        if patience is None:
            return super().wait(gen, *arguments, **options)
        try:
            return super().wait(_limited(gen, patience), *arguments, **options)
        except _Silence as problem:
            patience.note_silence()
            # An answer that comes later belongs to nothing any more.
            self.close()
            raise OperationalError(str(problem)) from None


def _set_forms(connection: Connection[Any]) -> None:
    """Have the server return values in the forms that the driver reads.

    The server, the database or the role may have others by default. A pooler knows these settings, and sets them again
    for each of its clients.
    """
    connection.autocommit = True
    connection.execute(_FORMS)
    connection.autocommit = False


class _Silence(Exception):
    pass


def _limited(gen: PQGen[RV], patience: Patience) -> PQGen[RV]:
    """Pass everything on; psycopg also resumes it ten times a second when nothing has arrived. Raises `_Silence`."""
    since = monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                since = monotonic()
            elif (limit := patience.seconds) < monotonic() - since:
                raise _Silence(f"the server has not answered for {limit:g} seconds")
            wanted = gen.send(ready)
    except StopIteration as end:
        answer: RV = end.value
        return answer

"""Stopping syncd during a query that would take minutes: the query is cancelled, and the next one works."""

import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, Final

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url

from syncd.errors import Interrupted, MisUnreachable
from syncd.mis import Mis
from syncd.simulator import Simulator
from tests.support.command import Exit, Running, Syncd
from tests.support.polling import wait_until
from tests.support.tds import Column, Result, Silence, TdsServer
from tests.support.tds.columns import nvarchar

from .conftest import MAKES

#: The services that the unit starts have 90 seconds; a person at a terminal expects fewer.
_FEW_SECONDS: Final = 10

#: A query that counts for hours, and one that returns 1,500 rows at once and looks for more for hours.
_COUNT: Final = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS misid FROM n",
    "postgresql": "SELECT COUNT(*) AS misid FROM (SELECT generate_series(1, 1000000000000) AS i) n",
    "mysql": "SELECT COUNT(*) AS misid FROM seq_1_to_1000000000000 WHERE seq % 7 <> 8",
}
_ROWS: Final = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i <= 1500",
    "postgresql": "SELECT i FROM (SELECT generate_series(1, 1000000000000) AS i) n WHERE i <= 1500",
    # The server sends rows when its buffer of 16 kB is full.
    "mysql": "SELECT seq, REPEAT('x', 100) FROM seq_1_to_1000000000000 WHERE seq % 1000000000000 <= 1500",
}
_LEARNER: Final = (
    "SELECT 'L1' AS MISID, 'Ann' AS FirstName, 'Example' AS LastName, 'l1@students.example.org' AS Email, "
    "18928 AS PlacementID, 15379 AS ClassroomID, 300001 AS DefaultAssessorID"
)
#: How many queries the servers run for other connections to the same database.
_RUNNING: Final = {
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND state = 'active'",
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() "
    "AND id <> CONNECTION_ID() AND command = 'Query'",
}

on_servers = pytest.mark.parametrize("url", MAKES[1:], indirect=True)


class Server:
    """The database of a test, seen by its administrator."""

    def __init__(self, url: str) -> None:
        self.make = make_url(url).get_backend_name()
        self._url = url
        self.file = Path(make_url(url).database or "")
        """The file of SQLite."""

    def runs_query(self) -> bool:
        """Whether it runs a query of another connection; SQLite has no server that does."""
        if self.make == "sqlite":
            return False
        engine = create_engine(self._url, poolclass=NullPool)
        with engine.connect() as connection:
            return bool(connection.exec_driver_sql(_RUNNING[self.make]).scalar_one())

    def wait_until_it_runs_query(self) -> None:
        """Wait until syncd's query has begun."""
        if self.make == "sqlite":
            sleep(0.5)
        else:
            wait_until(self.runs_query, "the query", patience=30)

    def wait_until_it_is_idle(self) -> None:
        """Wait until the query has ended; a server may take a moment."""
        wait_until(lambda: not self.runs_query(), "the end of the query", patience=5)


class Stop(Event):
    """A stop flag that says how long ago it was set."""

    def set(self) -> None:
        """Set it."""
        self.at = monotonic()
        super().set()

    def set_after(self, waiting: Callable[[], object]) -> None:
        """Set it when this has been waited for."""
        try:
            waiting()
        finally:
            self.set()

    @property
    def seconds_ago(self) -> float:
        """How long ago it was set."""
        return monotonic() - self.at


@pytest.fixture
def server(url: str) -> Server:
    return Server(url)


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def mis(url: str, stop: Stop) -> Mis:
    return Mis(url, is_stopping=stop.is_set)


@contextmanager
def _alongside(action: Callable[[], object]) -> Iterator[None]:
    thread = Thread(target=action)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _read(mis: Mis, query: str) -> list[Any]:
    with mis.read("learners", query) as rows:
        return [row[0] for row in rows.stream]


def _assert_no_trace(server: Server) -> None:
    server.wait_until_it_is_idle()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("mis")] == []


def test_stop_cancels_the_query_and_the_next_one_works(mis: Mis, server: Server, stop: Stop) -> None:
    stopping = partial(stop.set_after, server.wait_until_it_runs_query)
    with _alongside(stopping), pytest.raises(Interrupted) as interrupted:
        _read(mis, _COUNT[server.make])
    assert stop.seconds_ago < _FEW_SECONDS
    # What the driver says of the cancelled query must not be shown.
    assert interrupted.value.__suppress_context__ or interrupted.value.__context__ is None
    _assert_no_trace(server)
    stop.clear()
    assert _read(mis, "SELECT 1") == [1]


def test_stop_while_rows_are_fetched_cancels_the_query(mis: Mis, server: Server, stop: Stop) -> None:
    with mis.read("learners", _ROWS[server.make]) as rows:
        assert rows.take(1000)
        with _alongside(partial(stop.set_after, server.wait_until_it_runs_query)), pytest.raises(Interrupted):
            deque(rows.stream)
    assert stop.seconds_ago < _FEW_SECONDS
    _assert_no_trace(server)


def test_stop_between_two_pages_leaves_no_query_behind(mis: Mis, server: Server, stop: Stop) -> None:
    """PostgreSQL computes the next page in the meantime; MySQL's drivers read the rest when the cursor is closed."""
    with mis.read("learners", _ROWS[server.make]) as rows:
        assert rows.take(1000)
        stop.set()
        with pytest.raises(Interrupted):
            rows.take(1000)
    assert stop.seconds_ago < _FEW_SECONDS
    _assert_no_trace(server)


def test_stop_before_a_query_begins_none(mis: Mis, server: Server, stop: Stop) -> None:
    stop.set()
    with pytest.raises(Interrupted):
        _read(mis, _COUNT[server.make])
    with pytest.raises(Interrupted), mis.connect():
        pass
    assert stop.seconds_ago < 2
    _assert_no_trace(server)


@on_servers
def test_stop_just_before_the_query_starts_cancels_it_as_well(mis: Mis, server: Server, stop: Stop) -> None:
    """A server ignores a request to cancel if the connection has no query."""

    def query_later(connection: Connection) -> None:
        stop.set()
        sleep(1)
        connection.exec_driver_sql(_COUNT[server.make])

    with mis._connect() as (connection, deadline), pytest.raises(Interrupted):
        deadline.call(lambda: query_later(connection))
    assert stop.seconds_ago < _FEW_SECONDS
    _assert_no_trace(server)


def test_an_error_of_the_query_is_still_reported_without_a_stop(mis: Mis) -> None:
    with pytest.raises(MisUnreachable, match="learners"):
        _read(mis, "SELECT nothing FROM nowhere")


@on_servers
def test_ctrl_c_without_a_stop_flag_cancels_the_query(url: str, server: Server) -> None:
    """As in 'syncd init', which has none."""

    def interrupt() -> None:
        server.wait_until_it_runs_query()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # A shell starts what runs in the background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with _alongside(interrupt), pytest.raises(KeyboardInterrupt):
            _read(Mis(url), _COUNT[server.make])
    finally:
        signal.signal(signal.SIGINT, before)
    _assert_no_trace(server)


_CONNECTING: Final = [
    pytest.param("mssql+mssqlpython://reader@127.0.0.1:PORT/mis?Encrypt=no", marks=pytest.mark.mssql, id="mssql"),
    pytest.param("oracle://reader:Pa55word@127.0.0.1:PORT/?service_name=mis", id="oracle"),
    pytest.param("postgresql://reader@127.0.0.1:PORT/mis?connect_timeout=60", id="postgresql"),
    pytest.param("mysql://reader@127.0.0.1:PORT/mis?connect_timeout=60", id="mysql"),
]


@pytest.mark.parametrize("address", _CONNECTING)
def test_stop_while_connecting_gives_up_the_connection(address: str, stop: Stop) -> None:
    """The server accepts the connection and says nothing."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mis = Mis(address.replace("PORT", str(listener.getsockname()[1])), is_stopping=stop.is_set)
        with (
            _alongside(partial(stop.set_after, lambda: accepted.append(listener.accept()[0]))),
            pytest.raises(Interrupted),
            mis.connect(),
        ):
            pass
    assert stop.seconds_ago < _FEW_SECONDS
    accepted.pop().close()
    assert [thread.name for thread in threading.enumerate() if thread.name == "mis"] == []


@pytest.mark.mssql
@pytest.mark.parametrize("after_bytes", [0, 9000], ids=["before its rows", "among its rows"])
def test_stop_shuts_down_the_connection_to_sql_server(after_bytes: int, stop: Stop) -> None:
    """Its driver has no way to cancel a query."""
    query = "SELECT ref FROM person"
    rows = Result([Column("ref", nvarchar(20))], [[f"L{number:05}"] for number in range(2500)])
    answers: dict[str, Any] = {query: Silence(rows, after_bytes)}
    with TdsServer(answers) as server:
        mis = Mis(server.url(Encrypt="no"), is_stopping=stop.is_set)
        with _alongside(partial(stop.set_after, partial(sleep, 1))), pytest.raises(Interrupted):
            _read(mis, query)
    assert stop.seconds_ago < _FEW_SECONDS
    assert [thread.name for thread in threading.enumerate() if thread.name == "mis"] == []


@pytest.fixture
def syncd(url: str, tmp_path: Path) -> Iterator[Syncd]:
    with Simulator() as onefile:
        configuration: dict[str, dict[str, object]] = {
            "onefile": {"base_url": onefile.base_url, "organisation_id": 5740},
            "source": {"url": url},
            "state": {"url": f"sqlite:///{tmp_path / 'state.db'}"},
            "schedule": {"poll": "1h", "quiet": []},
            "admin": {"listen": ""},
            "log": {"format": "json"},
        }
        query = f"{_LEARNER} FROM ({_COUNT[Server(url).make]}) AS counted"
        yield Syncd(tmp_path / "college", onefile.customer_token, configuration, query)


def _stopped(running: Running, number: signal.Signals) -> int:
    before = monotonic()
    running.process.send_signal(number)
    finished = running.wait()
    assert monotonic() - before < _FEW_SECONDS, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.exit


_COMMANDS: Final = [
    pytest.param("run", signal.SIGTERM, Exit.IN_STEP, id="the daemon, SIGTERM"),
    pytest.param("sync", signal.SIGTERM, Exit.COULD_NOT_RUN, id="sync, SIGTERM"),
    pytest.param("sync", signal.SIGINT, Exit.COULD_NOT_RUN, id="sync, Ctrl+C"),
    pytest.param("plan", signal.SIGINT, Exit.COULD_NOT_RUN, id="plan, Ctrl+C"),
    pytest.param("doctor", signal.SIGINT, Exit.COULD_NOT_RUN, id="doctor, Ctrl+C"),
]


@pytest.mark.parametrize(("command", "number", "code"), _COMMANDS)
@pytest.mark.slow
def test_a_signal_ends_a_command_whose_query_runs(
    syncd: Syncd, server: Server, command: str, number: signal.Signals, code: Exit
) -> None:
    with syncd.start(command) as running:
        if server.make == "sqlite":
            _wait_until_it_queries(running, server.file)
        else:
            server.wait_until_it_runs_query()
        assert _stopped(running, number) == code
    server.wait_until_it_is_idle()
    if command in {"run", "sync"}:
        _assert_recorded_and_next_run_works(syncd)


def _wait_until_it_queries(running: Running, file: Path) -> None:
    """Wait until a command has opened a SQLite file and computes."""
    pid = running.process.pid
    wait_until(lambda: file in _open_files(pid), "the database to be opened", pause=0.005)
    begun = _processor_seconds(pid)
    wait_until(lambda: _processor_seconds(pid) > begun + 0.3, "the query")


def _open_files(pid: int) -> set[Path]:
    files = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            files.add(each.readlink())
    return files


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _assert_recorded_and_next_run_works(syncd: Syncd) -> None:
    assert syncd("status", "--json").json["last_run"]["state"] == "interrupted"
    syncd.write_feed(_LEARNER)
    assert syncd("sync").exit in {Exit.AWAITING_APPROVAL, Exit.SOME_HELD}

"""Connecting to a server that does not answer: given up in time, and nothing remains of the attempt."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from subprocess import run
from time import monotonic, sleep

import pytest

from syncd.errors import MisUnreachable
from syncd.mis import Mis, deadline

_MSSQL = "mssql+mssqlpython://reader@127.0.0.1:PORT/mis"
_PYODBC = "mssql+pyodbc://reader@127.0.0.1:PORT/mis?driver=FreeTDS&TDS_Version=7.4"
_URLS = [
    pytest.param(f"{_MSSQL}?Encrypt=strict", marks=pytest.mark.mssql, id="mssql-python, strict"),
    pytest.param(f"{_MSSQL}?Encrypt=no", marks=pytest.mark.mssql, id="mssql-python"),
    pytest.param(_PYODBC, marks=pytest.mark.mssql, id="pyodbc"),
    pytest.param("oracle://reader:Pa55word@127.0.0.1:PORT/?service_name=mis", id="oracledb"),
    pytest.param("postgresql://reader@127.0.0.1:PORT/mis?connect_timeout=60", id="psycopg"),
    pytest.param("mysql://reader@127.0.0.1:PORT/mis?connect_timeout=60", id="pymysql"),
]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def full() -> Iterator[int]:
    """The port of a server that does not even accept a connection: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is overdue after two seconds."""
    monkeypatch.setattr(deadline, "GRACE", 1.0)


def _sentence(url: str, port: int) -> str:
    begun = monotonic()
    with pytest.raises(MisUnreachable) as failure, Mis(url.replace("PORT", str(port)), timeout_seconds=1).connect():
        pass
    assert monotonic() - begun < 20
    return str(failure.value)


def _calls() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "mis"]


@pytest.mark.parametrize("url", _URLS)
def test_no_call_remains_after_a_server_did_not_answer(url: str, silent: int) -> None:
    sentence = _sentence(url, silent)
    assert "it does not answer. Check the host and the port in source.url" in sentence
    assert ("Encrypt=strict needs SQL Server 2022 or later" in sentence) == ("strict" in url)
    assert _calls() == []


# mssql-python tries again by itself, for its own time limit of a quarter of a minute.
@pytest.mark.parametrize("url", [url for url in _URLS if "mssql-python" not in str(url.id)])
def test_no_call_remains_after_a_server_did_not_accept(url: str, full: int) -> None:
    assert "it does not answer" in _sentence(url, full)
    assert _calls() == []


@pytest.mark.parametrize("remaining", [0, 1], ids=["both remain", "only the other remains"])
def test_a_connection_of_another_part_is_left_alone(silent: int, remaining: float) -> None:
    """If it has the same port and appears at the same time, none of the two is shut down."""
    other: list[socket.socket] = []

    def connect_too() -> None:
        with socket.create_connection(("127.0.0.1", silent)):
            other.append(socket.create_connection(("127.0.0.1", silent)))
            # Longer than the limit.
            sleep(2)
        sleep(remaining)

    with pytest.raises(deadline.Overdue):
        deadline.Deadline(0.2, silent).connect(connect_too)
    with other.pop() as connection:
        # It would raise if it had been shut down.
        assert connection.send(b"x") == 1


_CONNECTING = """
import sys
from syncd.mis import Mis, deadline
deadline.GRACE = 1.0
with Mis(sys.argv[1], 1).connect():
    pass
"""


@pytest.mark.mssql
def test_a_process_ends_normally_after_a_server_did_not_answer(silent: int) -> None:
    """A thread in the driver's native code would abort the process at its end (SIGABRT)."""
    url = f"{_MSSQL}?Encrypt=strict".replace("PORT", str(silent))
    finished = run([sys.executable, "-c", _CONNECTING, url], capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == 1
    assert "it does not answer" in finished.stderr.splitlines()[-1]
    assert "terminate called" not in finished.stderr

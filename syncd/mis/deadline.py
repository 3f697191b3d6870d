"""A limit for the calls of a driver, which may wait without end for a database: a time limit, and syncd's own end."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final, TypeVar

from sqlalchemy import Connection

from syncd.errors import Interrupted

_T = TypeVar("_T")

GRACE: Final = 10.0
"""How many seconds a call has in addition to the time limit of a statement, so that the database can stop the statement
first."""

_SHUTDOWN_SECONDS: Final = 5.0
"""How long to wait for a call to end after its socket was shut down."""

_CANCEL_SECONDS: Final = 4.0
"""How long to wait for a call to end after its query was cancelled."""

_CANCEL_AGAIN_SECONDS: Final = 0.5
"""When to cancel a query again: the server ignores it if the query has not begun."""

_LOOK_AGAIN_SECONDS: Final = 0.1
"""How often to look whether syncd must stop."""

#: One connection is opened at a time, so that the socket that appears in the meantime belongs to it.
_CONNECTING: Final = Lock()


class Overdue(Exception):
    """The database has not answered in time."""


class Deadline:
    """The time limit for each call of one connection; ``None`` if the driver keeps the limit itself.

    Each call runs in its own thread. If it is overdue, the connection's socket is shut down, which ends the call and
    the thread. Otherwise the thread would remain in the driver's native code, and abort the process when Python ends.
    Finding the socket needs ``/proc`` and the server's port. Without them (on Windows, or for a named instance) the
    thread and the connection remain until the server or the operating system ends them.

    If ``is_stopping`` becomes true, the query is cancelled first, because a server may not notice that its client is
    gone: it would go on with the query. A driver that keeps the limit itself must look at ``is_stopping`` as well.
    """

    def __init__(
        self, seconds: float | None, port: int | None, is_stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._seconds = None if seconds is None else seconds + GRACE
        self._port = port
        self._is_stopping = is_stopping
        self.cancel: Callable[[], object] | None = None
        """Asks the server, from another thread, to end the query in progress; ``None`` if there is no way to."""
        self._sockets: list[socket.socket] = []
        self._excluded: frozenset[str] | None = None
        """The sockets of this process that are not, or may not be, the connection's, by inode: those from before, and
        those that appeared together. ``None`` unless it is being opened."""

    def call(self, action: Callable[[], _T]) -> _T:
        """Return what the action returns. Raises what it raises, `Overdue`, and `Interrupted` if syncd must stop."""
        if self._is_stopping():
            raise Interrupted
        try:
            return action() if self._seconds is None else self._call(action, self._seconds)
        except Exception:
            if self._is_stopping():
                # The error follows from the cancelled query.
                raise Interrupted from None
            raise

    def connect(self, action: Callable[[], _T]) -> _T:
        """Call an action that opens the connection. Returns and raises what `call` does."""
        if self._seconds is None:
            return self.call(action)
        with _CONNECTING:
            self._excluded = frozenset(_open_sockets())
            try:
                connection = self.call(action)
                self._find_socket()
            except BaseException:
                self._release_sockets()
                raise
            finally:
                self._excluded = None
        return connection

    def end(self, action: Callable[[], object]) -> bool:
        """Whether an action that ends something succeeds. Its errors are not raised: the first error is reported."""
        try:
            if self._seconds is None:
                action()
            else:
                self._call(action, GRACE)
        except Exception:  # noqa: BLE001 - drivers raise anything on a connection that is broken
            return False
        return True

    def close(self, connection: Connection) -> None:
        """Close the connection; discard it if it is broken."""
        # If the driver cannot roll back, it has not closed the connection either.
        if not self.end(connection.close):
            self.end(connection.invalidate)
        self._release_sockets()

    def _call(self, action: Callable[[], _T], seconds: float) -> _T:
        results: list[_T] = []
        problems: list[BaseException] = []
        # In Python 3.11 an interrupted `Thread.join` takes the thread for ended.
        ended = Event()

        def run() -> None:
            try:
                results.append(action())
            except BaseException as problem:  # noqa: BLE001 - it is raised by the thread that waits for it
                problems.append(problem)
            finally:
                ended.set()

        thread = Thread(target=run, name="mis", daemon=True)
        thread.start()
        try:
            self._wait(ended, seconds)
        except Overdue:
            self._shut_down(ended)
            raise
        except BaseException:
            # syncd must stop, or the operator has interrupted it.
            self._cancel(ended)
            self._shut_down(ended)
            raise
        finally:
            if ended.is_set():
                thread.join()
        if problems:
            raise problems.pop()
        return results.pop()

    def _wait(self, ended: Event, seconds: float) -> None:
        """Wait until the call has ended. Raises `Overdue` and `Interrupted`."""
        until = monotonic() + seconds
        while not ended.wait(max(0.0, min(until - monotonic(), _LOOK_AGAIN_SECONDS))):
            if self._is_stopping():
                raise Interrupted
            if monotonic() >= until:
                raise Overdue

    def _cancel(self, ended: Event) -> None:
        """Cancel the query until the call ends, or for a few seconds: the server may be out of reach."""
        if self.cancel is None:
            return
        until = monotonic() + _CANCEL_SECONDS
        while not ended.is_set() and monotonic() < until:
            cancelling = Thread(target=_ignoring_errors, args=(self.cancel,), name="mis-cancel", daemon=True)
            cancelling.start()
            cancelling.join(until - monotonic())
            ended.wait(_CANCEL_AGAIN_SECONDS)

    def _shut_down(self, ended: Event) -> None:
        """Shut down the connection's socket until the call ends: a driver may open another one and try again."""
        until = monotonic() + _SHUTDOWN_SECONDS
        while not ended.is_set() and monotonic() < until:
            self._find_socket()
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            ended.wait(0.1)

    def _find_socket(self) -> None:
        """While connecting, find the connection's socket: the only new one to the database's port.

        If there are several, one of them may belong to another part of syncd, and none of them is shut down, also when
        only one of them remains.
        """
        if self._excluded is None or self._port is None:
            return
        self._release_sockets()
        new = {inode: number for inode, number in _open_sockets().items() if inode not in self._excluded}
        ports = _remote_ports()
        found = {inode: number for inode, number in new.items() if ports.get(inode) == self._port}
        if len(found) > 1:
            self._excluded |= found.keys()
            return
        duplicates = [_duplicate(number) for number in found.values()]
        self._sockets = [each for each in duplicates if each is not None]

    def _release_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets = []


def _ignoring_errors(action: Callable[[], object]) -> None:
    # The query may have ended already, the server be out of reach, or the driver not be able to.
    with suppress(Exception):
        action()


def _open_sockets() -> dict[str, int]:
    """Return the descriptors of this process that are sockets, by inode; none without ``/proc``."""
    sockets: dict[str, int] = {}
    with suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    sockets[target[8:-1]] = int(entry.name)
    return sockets


def _remote_ports() -> dict[str, int]:
    """Return the port at the other end of each TCP socket, by inode, also of those that are still connecting.

    `socket.getpeername` does not know the latter.
    """
    ports: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/self/net", name).read_text().splitlines()[1:]:
                columns = line.split()
                ports[columns[9]] = int(columns[2].rpartition(":")[2], 16)
    return ports


def _duplicate(number: int) -> socket.socket | None:
    """Return a descriptor of syncd's own: if the driver closes its own, the number may be given to another socket."""
    try:
        return socket.socket(fileno=os.dup(number))
    except OSError:
        return None

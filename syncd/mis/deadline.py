"""A limit for the calls of a driver, which may wait without end for a database that has fallen silent."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Final, TypeVar

from sqlalchemy import Connection

_T = TypeVar("_T")

GRACE: Final = 10.0
"""How many seconds a call has beyond the time of a statement, in which a database that is well stops the statement."""

#: So that the socket that appears meanwhile is the one of this connection.
_ONE_AT_A_TIME: Final = Lock()


class Overdue(Exception):
    """The database has not answered in time."""


class Deadline:
    """The time that each call of one connection may take; ``None`` if its driver keeps the limit itself.

    Each call runs in a thread of its own, which is abandoned if it is overdue. The connection's socket is shut down
    then, which ends the call. That needs ``/proc``: on Windows the thread, and the connection, stay until the server
    or the operating system ends them.
    """

    def __init__(self, seconds: float | None, port: int | None) -> None:
        self._seconds = None if seconds is None else seconds + GRACE
        self._port = port
        self._sockets: list[socket.socket] = []

    def call(self, action: Callable[[], _T]) -> _T:
        """Return what the action returns. Raises what it raises, and `Overdue`."""
        return action() if self._seconds is None else self._call(action, self._seconds)

    def connect(self, action: Callable[[], _T]) -> _T:
        """Do the same with an action that opens the connection."""
        with self._noting_sockets():
            return self.call(action)

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
        """Close the connection; give it up if it is broken."""
        # A driver that cannot roll back has not closed it either.
        if not self.end(connection.close):
            self.end(connection.invalidate)
        for each in self._sockets:
            each.close()

    def _call(self, action: Callable[[], _T], seconds: float) -> _T:
        results: list[_T] = []
        problems: list[BaseException] = []

        def run() -> None:
            try:
                results.append(action())
            except BaseException as problem:  # noqa: BLE001 - it is raised by the thread that waits for it
                problems.append(problem)

        thread = Thread(target=run, name="mis", daemon=True)
        thread.start()
        try:
            thread.join(seconds)
        except BaseException:
            # The operator has interrupted it.
            self._shut_down()
            raise
        if thread.is_alive():
            self._shut_down()
            thread.join(1)
            raise Overdue
        if problems:
            raise problems.pop()
        return results.pop()

    def _shut_down(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _noting_sockets(self) -> Iterator[None]:
        """Note the socket of the connection: the only new one whose peer has the database's port."""
        if self._seconds is None or self._port is None:
            yield
            return
        with _ONE_AT_A_TIME:
            before = set(_open_sockets())
            yield
            new = [number for inode, number in _open_sockets().items() if inode not in before]
        found = [each for each in map(_duplicate, new) if each is not None]
        theirs = [each for each in found if _port_of_peer(each) == self._port]
        if len(theirs) == 1:
            # Of another one, such as one to OneFile, the connection must not be cut.
            self._sockets = theirs
        for each in found:
            if each not in self._sockets:
                each.close()


def _open_sockets() -> dict[str, int]:
    """The descriptors of this process that are sockets, by what identifies the socket; none without ``/proc``."""
    sockets: dict[str, int] = {}
    with suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:"):
                    sockets[target] = int(entry.name)
    return sockets


def _duplicate(number: int) -> socket.socket | None:
    """A descriptor of our own for the socket: the driver may close its own, and the number be given to another."""
    try:
        return socket.socket(fileno=os.dup(number))
    except OSError:
        return None


def _port_of_peer(one: socket.socket) -> int | None:
    try:
        peer = one.getpeername()
    except OSError:
        return None
    return peer[1] if isinstance(peer, tuple) else None

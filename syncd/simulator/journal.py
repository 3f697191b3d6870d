"""The journal: every call that reached the simulator, for tests to read.

It keeps no headers and only the status of responses, so it contains neither the customer token nor a session, nor the
password that a create returns (§8.3).
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

_READS = re.compile(r"/authentication|/\w+/search(/[^/]+/[^/]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """One call and its outcome."""

    number: int
    """From 1, in the order in which outcomes were decided."""
    at: float
    """When it arrived, by the simulator's clock, in seconds."""
    method: str
    path: str
    """Below the base URL and spelt as sent: ``/User/17``."""
    body: Any
    """The JSON or form body; None if there was none, or if it could not be read."""
    status: int | None
    """The status of the response; None if the connection was closed without one."""
    fault: str | None = None
    """The kind of the fault that applied."""

    @property
    def is_write(self) -> bool:
        """Whether the call asks for a change: neither a read, nor a search, nor Authentication (§4, §5)."""
        return self.method != "GET" and not (self.method == "POST" and _READS.fullmatch(self.path))

    @property
    def is_search(self) -> bool:
        """Whether the call is a search, paged or not (§4)."""
        return self.method == "POST" and "/search" in self.path.lower()

    def as_json(self) -> dict[str, Any]:
        """Returns the call as ``GET /simulator/journal`` shows it."""
        return {**asdict(self), "is_write": self.is_write}


class Journal:
    """The calls so far. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def record(self, *, at: float, method: str, path: str, body: object, status: int | None, fault: str | None) -> Call:
        """Records a call and returns it with its number; the arguments are the fields of `Call`."""
        with self._lock:
            call = Call(len(self._calls) + 1, at, method, path, body, status, fault)
            self._calls.append(call)
            return call

    @property
    def calls(self) -> list[Call]:
        """All calls, the oldest first."""
        with self._lock:
            return list(self._calls)

    @property
    def writes(self) -> list[Call]:
        """The calls that asked for a change, whether it was made or not."""
        return [call for call in self.calls if call.is_write]

    def clear(self) -> None:
        """Deletes all calls; numbers start again at 1."""
        with self._lock:
            self._calls.clear()

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __len__(self) -> int:
        with self._lock:
            return len(self._calls)

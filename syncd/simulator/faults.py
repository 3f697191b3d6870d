"""Injected faults: network and server failures that a client must handle."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The call is carried out late; combines with another fault on the same call."""
    THROTTLE = "throttle"
    """429, nothing done."""
    ERROR_BEFORE = "error_before"
    """500, nothing done."""
    ERROR_AFTER = "error_after"
    """500, though the work is done."""
    DROP_BEFORE = "drop_before"
    """The connection is closed without an answer, nothing done."""
    DROP_AFTER = "drop_after"
    """The connection is closed without an answer, though the work is done."""
    UNAVAILABLE = "unavailable"
    """503, nothing done."""
    RUBBISH = "rubbish"
    """200 with a web page for a body, as from a proxy; nothing done."""
    RUBBISH_AFTER = "rubbish_after"
    """200 with a web page for a body, though the work is done."""
    ANSWER = "answer"
    """200 with `Fault.body`, nothing done."""
    ANSWER_AFTER = "answer_after"
    """200 with `Fault.body`, though the work is done."""

    @property
    def lets_work_happen(self) -> bool:
        """Whether the call is carried out."""
        return self in _AFTER

    @property
    def drops(self) -> bool:
        """Whether the client gets no answer at all."""
        return self in {FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER}


_AFTER = frozenset(
    {
        FaultKind.LATENCY,
        FaultKind.ERROR_AFTER,
        FaultKind.DROP_AFTER,
        FaultKind.RUBBISH_AFTER,
        FaultKind.ANSWER_AFTER,
    }
)

#: The kinds after which a client can know what it does not know. The others answer in any words that are ordered, which
#: may say that a call was successful that was not carried out.
NOTICEABLE = tuple(kind for kind in FaultKind if kind not in {FaultKind.ANSWER, FaultKind.ANSWER_AFTER})

#: The kinds of random faults by default: common failures.
ORDINARY = (
    FaultKind.THROTTLE,
    FaultKind.ERROR_BEFORE,
    FaultKind.ERROR_AFTER,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.UNAVAILABLE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One ordered fault."""

    kind: FaultKind
    method: str | None = None
    """Only calls of this method."""
    path: str | None = None
    """Only paths that match this, in any case, with ``*`` for anything: ``/User``, ``/User/*/Archive``."""
    times: int | None = 1
    """How many calls it affects; None for no limit. Ignored if ``for_seconds`` is set."""
    for_seconds: float | None = None
    """Affects every matching call for this long after it was ordered, regardless of ``times``."""
    skip: int = 0
    """How many matching calls it skips first."""
    latency_seconds: float = 0.0
    """How long the call waits, in real seconds; for every kind; the only effect of `FaultKind.LATENCY`."""
    retry_after_seconds: int | None = None
    """A ``Retry-After`` header for 429 and 503."""
    body: Any = None
    """The JSON of `FaultKind.ANSWER` and `FaultKind.ANSWER_AFTER`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FaultKind(self.kind))

    def matches(self, method: str, path: str) -> bool:
        """Whether this fault applies to a call."""
        return (self.method is None or self.method.upper() == method) and (
            self.path is None or fnmatchcase(path.lower(), self.path.lower())
        )


@dataclass(slots=True)
class _Order:
    fault: Fault
    until: float | None
    left: int | None
    skip: int

    def is_over(self, now: float) -> bool:
        return self.left == 0 if self.until is None else now >= self.until

    def strikes(self) -> bool:
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.until is None and self.left is not None:
            self.left -= 1
        return True


@dataclass(frozen=True, slots=True)
class Trouble:
    """What applies to one call: a delay, and perhaps a fault."""

    latency_seconds: float = 0.0
    fault: Fault | None = None

    @property
    def name(self) -> str | None:
        """The kind of fault for the journal."""
        if self.fault is not None:
            return self.fault.kind.value
        return FaultKind.LATENCY.value if self.latency_seconds else None


class Faults:
    """The ordered faults and the random ones. Thread-safe.

    Args:
        clock: returns the time in seconds, for faults with a duration.
        rate: the probability, 0 to 1, of a random fault for each call.
        seed: makes the random faults repeatable.
    """

    def __init__(self, clock: Callable[[], float], rate: float = 0.0, seed: int = 0) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._orders: list[_Order] = []
        self.at_random(rate, seed)

    def add(self, *faults: Fault) -> None:
        """Orders faults; if several match a call, the one ordered first applies."""
        now = self._clock()
        with self._lock:
            for fault in faults:
                until = None if fault.for_seconds is None else now + fault.for_seconds
                self._orders.append(_Order(fault, until, fault.times, fault.skip))

    def at_random(self, rate: float, seed: int = 0, kinds: Sequence[FaultKind] = ORDINARY) -> None:
        """Applies one of ``kinds`` to each call with probability ``rate``; 0 switches this off.

        Raises:
            ValueError: if ``rate`` is not between 0 and 1.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"A rate of faults lies between 0 and 1; {rate} does not.")
        with self._lock:
            self._rate = rate
            self._kinds = tuple(kinds)
            self._random = random.Random(seed)  # noqa: S311 - repeatable, not a secret

    def clear(self) -> None:
        """Cancels every ordered fault, and random ones."""
        with self._lock:
            self._orders.clear()
            self._rate = 0.0

    @property
    def pending(self) -> list[Fault]:
        """The ordered faults that have not ended."""
        now = self._clock()
        with self._lock:
            return [order.fault for order in self._orders if not order.is_over(now)]

    def meet(self, method: str, path: str) -> Trouble:
        """Returns what applies to a call that has arrived, and counts it."""
        now = self._clock()
        with self._lock:
            self._orders = [order for order in self._orders if not order.is_over(now)]
            latency, struck = 0.0, None
            for order in self._orders:
                if struck is not None and order.fault.kind != FaultKind.LATENCY:
                    continue
                if not order.fault.matches(method, path) or not order.strikes():
                    continue
                latency += order.fault.latency_seconds
                if order.fault.kind != FaultKind.LATENCY:
                    struck = order.fault
            if struck is None and self._rate and self._random.random() < self._rate:
                struck = Fault(self._random.choice(self._kinds))
            return Trouble(latency, struck)

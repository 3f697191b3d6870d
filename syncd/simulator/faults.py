"""Faults on demand: what networks and servers do to a client sooner or later."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The call is done, later; it adds itself to another fault that strikes the same call."""
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
    """200 with a web page for a body, as from something in between; nothing done."""
    RUBBISH_AFTER = "rubbish_after"
    """200 with a web page for a body, though the work is done."""

    @property
    def lets_work_happen(self) -> bool:
        """Whether the call changes what it set out to change."""
        return self in _AFTER

    @property
    def drops(self) -> bool:
        """Whether the client gets no answer at all."""
        return self in {FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER}


_AFTER = frozenset({FaultKind.LATENCY, FaultKind.ERROR_AFTER, FaultKind.DROP_AFTER, FaultKind.RUBBISH_AFTER})

#: What strikes at random unless told otherwise: what an ordinary bad day brings.
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
    """An order for trouble."""

    kind: FaultKind
    method: str | None = None
    """Only calls of this method."""
    path: str | None = None
    """Only paths like this, in any case, with ``*`` for anything: ``/User``, ``/User/*/Archive``."""
    times: int | None = 1
    """How many calls it strikes; None for no end. With ``for_seconds`` it may be left at 1: time ends it."""
    for_seconds: float | None = None
    """Strikes every matching call for so long from being ordered, whatever ``times`` says."""
    skip: int = 0
    """How many matching calls it lets pass first."""
    latency_seconds: float = 0.0
    """How long the call waits, in real seconds; with any kind, and all there is to `FaultKind.LATENCY`."""
    retry_after_seconds: int | None = None
    """A ``Retry-After`` header for 429 and 503."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FaultKind(self.kind))

    def matches(self, method: str, path: str) -> bool:
        """Whether a call is one that this fault is after."""
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
    """What one call meets: a wait, and perhaps a fault."""

    latency_seconds: float = 0.0
    fault: Fault | None = None

    @property
    def name(self) -> str | None:
        """The kind of fault for the journal."""
        if self.fault is not None:
            return self.fault.kind.value
        return FaultKind.LATENCY.value if self.latency_seconds else None


class Faults:
    """The faults on order, and those of chance; any thread may order more.

    Args:
        clock: gives the time in seconds, for faults that last a while.
        rate: the chance, 0 to 1, that a call meets a fault that nobody ordered.
        seed: makes that chance repeatable.
    """

    def __init__(self, clock: Callable[[], float], rate: float = 0.0, seed: int = 0) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._orders: list[_Order] = []
        self.at_random(rate, seed)

    def add(self, *faults: Fault) -> None:
        """Orders faults; of several that match a call the one ordered first strikes."""
        now = self._clock()
        with self._lock:
            for fault in faults:
                until = None if fault.for_seconds is None else now + fault.for_seconds
                self._orders.append(_Order(fault, until, fault.times, fault.skip))

    def at_random(self, rate: float, seed: int = 0, kinds: Sequence[FaultKind] = ORDINARY) -> None:
        """Lets each call meet one of ``kinds`` with the chance ``rate``; 0 ends it.

        Raises:
            ValueError: when ``rate`` is no chance.
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"A rate of faults lies between 0 and 1; {rate} does not.")
        with self._lock:
            self._rate = rate
            self._kinds = tuple(kinds)
            self._random = random.Random(seed)  # noqa: S311 - chance that can be repeated, no secret

    def clear(self) -> None:
        """Takes back every order, and chance too."""
        with self._lock:
            self._orders.clear()
            self._rate = 0.0

    @property
    def pending(self) -> list[Fault]:
        """The orders that have not run out."""
        now = self._clock()
        with self._lock:
            return [order.fault for order in self._orders if not order.is_over(now)]

    def meet(self, method: str, path: str) -> Trouble:
        """Takes a call that has arrived, gives what it meets, and counts it off."""
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

"""A client in front of a simulated OneFile, with a clock that tests move and waits that take no time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from syncd.onefile import OneFile, RateLimiter
from syncd.simulator import LimiterShape, Simulator, Switches

ORGANISATION = 5740
CLASSROOM = 15379
PLACEMENT = 18928
ASSESSOR = 300_001

SEED: dict[str, Any] = {
    "users": [
        {"ID": ASSESSOR, "OrganisationID": ORGANISATION, "Role": 5, "MISID": "A1", "FirstName": "A", "LastName": "B"}
    ]
}
LEARNER: dict[str, Any] = {
    "MISID": "L1",
    "FirstName": "Ann",
    "LastName": "Example",
    "Email": "ann@example.org",
    "DefaultAssessorID": ASSESSOR,
    "ClassroomID": CLASSROOM,
    "PlacementID": PLACEMENT,
}


@dataclass(slots=True)
class Time:
    """A clock; whoever sleeps by it moves it."""

    now: datetime = datetime(2026, 1, 15, 12, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)
    is_stopping: bool = False

    def __call__(self) -> datetime:
        return self.now

    def timestamp(self) -> float:
        return self.now.timestamp()

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        return self.is_stopping


class Turns:
    """The line, kept in memory."""

    def __init__(self) -> None:
        self.next_slot_us = 0

    def advance(self, step: Callable[[int], tuple[int, float]]) -> float:
        self.next_slot_us, seconds = step(self.next_slot_us)
        return seconds


@dataclass(frozen=True, slots=True)
class Pair:
    """A OneFile and its client."""

    simulator: Simulator
    client: OneFile
    throttled: list[float]

    @property
    def calls(self) -> list[tuple[str, int | None]]:
        return [(call.path, call.status) for call in self.simulator.journal]


Open = Callable[..., Pair]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def opened(time: Time) -> Iterator[Open]:
    """Opens a OneFile with these switches, and a client of it."""
    with ExitStack() as stack:

        def open_pair(
            *, calls_per_minute: int = 60_000, token: str | None = None, timeout_seconds: float = 5, **switches: Any
        ) -> Pair:
            simulator = stack.enter_context(
                Simulator(Switches(**{"limiter": LimiterShape.OFF, **switches}), SEED, clock=time.timestamp)
            )
            throttled: list[float] = []
            client = stack.enter_context(
                OneFile(
                    simulator.base_url,
                    simulator.customer_token if token is None else token,
                    RateLimiter(Turns(), calls_per_minute, clock=time, sleep=time.sleep),
                    clock=time,
                    timeout_seconds=timeout_seconds,
                    on_throttled=throttled.append,
                )
            )
            return Pair(simulator, client, throttled)

        yield open_pair


@pytest.fixture(autouse=True)
def no_pauses_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield

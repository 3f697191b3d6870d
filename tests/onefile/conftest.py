"""A client in front of a simulated OneFile, with a clock that tests move and waits that take no time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from syncd.onefile import OneFile, RateLimiter
from syncd.simulator import LimiterShape, Simulator, Switches
from tests.support.clocks import Clock
from tests.support.college import no_pauses_between_attempts
from tests.support.onefile import SEED, MemoryRateLimit

__all__ = ["no_pauses_between_attempts"]


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
def time() -> Clock:
    return Clock()


@pytest.fixture
def opened(time: Clock) -> Iterator[Open]:
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
                    RateLimiter(MemoryRateLimit(), calls_per_minute, clock=time, sleep=time.sleep),
                    clock=time,
                    timeout_seconds=timeout_seconds,
                    on_throttled=throttled.append,
                )
            )
            return Pair(simulator, client, throttled)

        yield open_pair

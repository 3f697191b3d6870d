"""A daemon alive for a while, in this process."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from syncd.service.daemon import Daemon, Schedule, When
from tests.sync.conftest import College


@contextmanager
def living(
    college: College,
    pauses: tuple[float, ...] = (0.05, 0.1, 0.2),
    every: float = 3600,
    verify: float = 0,
    organisations: Sequence[int] = (),
    asked: threading.Event | None = None,
    keep: timedelta = timedelta(),
) -> Iterator[None]:
    stopping = threading.Event()
    poll = When("every so often", timedelta(seconds=every))
    verifies = When("every so often", timedelta(seconds=verify)) if verify else When()
    schedule = Schedule(poll, verifies, "Europe/London", keep)
    # The scheduler goes by the real time, and so must the daemon.
    parts = replace(
        college.parts, clock=lambda: datetime.now(UTC), is_stopping=stopping.is_set, organisations=tuple(organisations)
    )
    turns = [parts.turn_of(each) for each in organisations] or [parts]
    thread = threading.Thread(target=Daemon(turns, schedule, stopping, pauses, asked).live)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(30)
        assert not thread.is_alive()


def wait_for(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)

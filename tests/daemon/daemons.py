"""A daemon alive for a while, in this process."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from syncd.core.schedule import Schedule, When
from syncd.daemon.config import DaemonConfig, DailyJob
from syncd.daemon.daemon import Daemon, Signals
from syncd.daemon.service_manager import ServiceManager
from syncd.notify.notifier import Notifier
from tests.support.college import College

#: Ten times as often as a daemon does, so that tests wait for a tenth of the time.
LOOK_AGAIN_SECONDS: Final = 0.1


@contextmanager
def living(
    college: College,
    pauses: tuple[float, ...] = (0.05, 0.1, 0.2),
    every: float = 3600,
    verify: float = 0,
    organisations: Sequence[int] = (),
    asked: threading.Event | None = None,
    schedule: Schedule | None = None,
    daily: Sequence[DailyJob] = (),
    reload: threading.Event | None = None,
    reread: Callable[[DaemonConfig], DaemonConfig] = lambda orders: orders,
    problems: list[BaseException] | None = None,
    telling: Notifier | None = None,
    open_store: Callable[[], object] = lambda: None,
    manager: ServiceManager | None = None,
    look_again_seconds: float = LOOK_AGAIN_SECONDS,
) -> Iterator[Daemon]:
    """A daemon, which goes by the time of this machine; what it ends with but its own end is put into ``problems``."""
    signals = Signals(asked=asked or threading.Event(), reload=reload or threading.Event())
    poll = When("every so often", timedelta(seconds=every))
    verifies = When("every so often", timedelta(seconds=verify)) if verify else When()
    # The scheduler goes by the real time, and so must the daemon.
    context = replace(
        college.context,
        clock=lambda: datetime.now(UTC),
        is_stopping=signals.stopping.is_set,
        organisations=tuple(organisations),
    )
    turns = [context.for_organisation(each) for each in organisations] or [context]
    orders = DaemonConfig(turns, schedule or Schedule(poll, verifies), daily)
    daemon = Daemon(orders, signals, lambda: reread(orders), pauses, telling, open_store, manager, look_again_seconds)

    def live() -> None:
        try:
            daemon.run()
        except BaseException as problem:
            if problems is None:
                raise
            problems.append(problem)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield daemon
    finally:
        signals.stopping.set()
        thread.join(30)
        assert not thread.is_alive()

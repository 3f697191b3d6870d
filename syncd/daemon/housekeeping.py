"""What a daemon does once a day beside its runs."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from structlog.typing import FilteringBoundLogger

from syncd.daemon.config import DailyJob
from syncd.state.db.store import Store
from syncd.state.retention import purge


def purging(
    organisations: Sequence[int], keep: timedelta, log: FilteringBoundLogger, is_stopping: Callable[[], bool]
) -> DailyJob:
    """Let go of what was done longer ago than is kept; nothing, where ``keep`` is nothing."""

    def work(store: Store, now: datetime) -> None:
        if keep and (count := purge(store, organisations, now, keep, is_stopping)):
            log.info("changes_purged", count=count)

    return DailyJob("purge", work)

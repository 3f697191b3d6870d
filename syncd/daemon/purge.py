"""The daily job that deletes changes and runs older than they are kept."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from structlog.typing import FilteringBoundLogger

from syncd.daemon.config import DailyJob
from syncd.state.db.store import Store
from syncd.state.retention import purge


def purge_job(
    organisations: Sequence[int], keep: timedelta, log: FilteringBoundLogger, is_stopping: Callable[[], bool]
) -> DailyJob:
    """The job; it deletes nothing if ``keep`` is zero."""

    def work(store: Store, now: datetime) -> None:
        if keep and (count := purge(store, organisations, now, keep, is_stopping)):
            log.info("changes_purged", count=count)

    return DailyJob("purge", work)

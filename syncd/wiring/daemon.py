"""The daemon's configuration and schedule."""

from collections.abc import Mapping, Set
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Final

from structlog.typing import FilteringBoundLogger

from syncd import __version__
from syncd.core.schedule import Schedule, When
from syncd.daemon.config import DaemonConfig, DailyJob
from syncd.daemon.purge import purge_job
from syncd.errors import ConfigurationError
from syncd.onefile import OnRequest
from syncd.settings import Settings, load_settings
from syncd.state.db import maintenance
from syncd.state.db.store import Store
from syncd.sync.feeds import check_feeds
from syncd.wiring.context import open_context
from syncd.wiring.notify import open_heartbeat

#: What a reload may change: whole sections, and of others the keys that decide neither whose accounts they are nor
#: which state database it is. A key that counts only at a start counts at the next one.
_MAY_CHANGE: Final = frozenset({"source", "schedule", "guard", "leavers", "defaults", "feeds"})
_MAY_CHANGE_OF: Final[Mapping[str, Set[str]]] = {
    "onefile": {
        "customer_token",
        "customer_token_file",
        "calls_per_minute",
        "max_in_flight",
        "timeout_seconds",
        "settle_seconds",
        "clear",
        "assign_path",
        "compare_names",
    },
    "state": {"keep_days", "auto_upgrade"},
}


def daily(settings: Settings, log: FilteringBoundLogger, stopping: Event) -> tuple[DailyJob, ...]:
    """The daemon's daily jobs, one line each."""
    return (
        purge_job(settings.onefile.all_organisations, settings.state.keep, log, stopping.is_set),
        DailyJob("tidy", maintenance.vacuum),
    )


class DaemonConfigFile:
    """The configuration file of a daemon, which it may read again.

    ``settings`` is the current content of ``file``. ``on_request`` is called with each request to OneFile.
    Raises `ConfigurationError`.
    """

    def __init__(
        self,
        file: Path,
        settings: Settings,
        store: Store,
        log: FilteringBoundLogger,
        stopping: Event,
        on_request: OnRequest = lambda _request: None,
    ) -> None:
        self._on_request = on_request
        self._file = file
        self._store = store
        self._log = log
        self._stopping = stopping
        self.settings = settings
        """The settings in force."""
        self.orders: DaemonConfig = self._orders(settings)
        """The daemon's configuration, made from the settings in force."""

    def reread(self) -> DaemonConfig:
        """Return the new configuration; the caller closes the previous one.

        Every feed is checked in the MIS, because a misspelt column shows nowhere else. Raises `ConfigurationError` for
        an invalid configuration and for a change that needs a restart, and `MisUnreachable`.
        """
        settings = load_settings(self._file)
        changed = _lasting(self.settings, settings)
        if changed:
            raise ConfigurationError(
                f"{self._file}: {', '.join(changed)} cannot change while the daemon runs, so nothing was reloaded. "
                "Undo the change, or restart the daemon."
            )
        orders = self._orders(settings)
        try:
            check_feeds(orders.turns[0])
        except BaseException:
            orders.close()
            raise
        self.settings, self.orders = settings, orders
        return orders

    def close(self) -> None:
        """Release the resources of the configuration in force."""
        self.orders.close()

    def _orders(self, settings: Settings) -> DaemonConfig:
        with ExitStack() as stack:
            context = stack.enter_context(
                open_context(settings, self._store, self._log, self._stopping, self._on_request)
            )
            turns = tuple(context.for_organisation(each) for each in settings.onefile.all_organisations)
            about = {
                "environment": str(settings.onefile.environment or settings.onefile.url),
                "jitter": settings.schedule.jitter,
                "version": __version__,
            }
            return DaemonConfig(
                turns,
                schedule(settings),
                daily(settings, self._log, self._stopping),
                about,
                open_heartbeat(settings, self._log),
                stack.pop_all().close,
            )


def schedule(settings: Settings) -> Schedule:
    """When the daemon polls and verifies, delayed by a part of the jitter that depends on the organisation."""
    given, organisation_id = settings.schedule, settings.onefile.organisation_id
    poll, verify = (
        When(line, interval, given.timezone).apart(organisation_id, given.jitter_period)
        for line, interval in ((given.poll, given.poll_interval), (given.verify, given.verify_interval))
    )
    return Schedule(poll, verify, given.timezone, given.quiet)


def _lasting(before: Settings, after: Settings) -> list[str]:
    """The changed keys that need a restart."""
    changed = []
    for section in Settings.model_fields:
        if section in _MAY_CHANGE:
            continue
        old, new = getattr(before, section), getattr(after, section)
        may_change = _MAY_CHANGE_OF.get(section, frozenset())
        changed += [
            f"{section}.{key}"
            for key in type(old).model_fields
            if key not in may_change and getattr(old, key) != getattr(new, key)
        ]
    return changed

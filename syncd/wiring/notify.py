"""The notifier and the heartbeat, built from the configuration."""

from collections.abc import Callable
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from syncd.core.schedule import When
from syncd.notify.channels import channels_of
from syncd.notify.heartbeat import Heartbeat
from syncd.notify.notifier import Notifier, NotifyPolicy
from syncd.settings import Settings
from syncd.state.db.store import Store
from syncd.wiring.clock import now


def open_notifier(settings: Settings, store: Store, log: FilteringBoundLogger) -> Notifier:
    """Return the notifier. Raises `ConfigurationError` for a URL that Apprise does not recognise."""
    given = settings.notify
    zone = settings.schedule.timezone
    occasions = NotifyPolicy(timedelta(minutes=given.unreachable_minutes), When(given.digest, timezone=zone), zone)
    return Notifier(store, settings.onefile.all_organisations, channels_of(given.urls), occasions, log, now)


def open_heartbeat(settings: Settings, log: FilteringBoundLogger) -> Callable[[], None]:
    """Return what tells the outside watcher that a poll has completed; it does nothing if there is none."""
    url = settings.notify.heartbeat_url
    return Heartbeat(url, log).beat if url.get_secret_value() else lambda: None

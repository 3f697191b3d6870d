"""The daemon: when it polls, and what it serves meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from syncd.service.daemon import Schedule, When
from syncd.settings import Settings
from syncd.state.store import Store
from syncd.web.app import make_app
from syncd.web.server import served
from syncd.wiring.clock import now


@contextmanager
def open_admin(settings: Settings, store: Store) -> Iterator[None]:
    """The admin endpoints, served for as long as the block lasts; none when they are switched off.

    Raises `ConfigurationError` when the address is taken.
    """
    address = settings.admin.address
    if address is None:
        yield
        return
    token = settings.admin.token.get_secret_value()
    with served(make_app(store, settings.onefile.all_organisations, token, now), address):
        yield


def schedule(settings: Settings) -> Schedule:
    """When the daemon polls and verifies."""
    given = settings.schedule
    return Schedule(When(given.poll, given.poll_interval), When(given.verify, given.verify_interval), given.timezone)

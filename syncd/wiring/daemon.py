"""The daemon: when it polls, and what it serves meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette

from syncd.service.daemon import Schedule, When
from syncd.settings import Settings
from syncd.state.store import Store
from syncd.web.app import make_app
from syncd.web.credentials import Credentials
from syncd.web.pages import pages
from syncd.web.server import served
from syncd.wiring.clock import now


@contextmanager
def open_admin(settings: Settings, store: Store) -> Iterator[None]:
    """The endpoints and pages, served for as long as the block lasts; none when they are switched off.

    Raises `ConfigurationError` when the address is taken.
    """
    address = settings.admin.address
    if address is None:
        yield
        return
    with served(admin_app(settings, store), address):
        yield


def admin_app(settings: Settings, store: Store) -> Starlette:
    """What is served there."""
    organisations, admin = settings.onefile.all_organisations, settings.admin
    credentials = Credentials(
        admin.token.get_secret_value(),
        admin.password_hash.get_secret_value(),
        admin.viewer_token.get_secret_value(),
        admin.viewer_password_hash.get_secret_value(),
    )
    return make_app(store, organisations, credentials, now, pages(store, organisations, now))


def schedule(settings: Settings) -> Schedule:
    """When the daemon polls and verifies."""
    given = settings.schedule
    return Schedule(When(given.poll, given.poll_interval), When(given.verify, given.verify_interval), given.timezone)

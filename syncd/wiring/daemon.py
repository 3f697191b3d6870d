"""The daemon: when it polls, and what it serves meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from structlog.typing import FilteringBoundLogger

from syncd.service.daemon import Schedule, When
from syncd.settings import Settings
from syncd.state.pace import StoredTurns
from syncd.state.store import Store
from syncd.sync.explaining import Explanation
from syncd.sync.explaining import explain as explanation_of
from syncd.web.app import make_app
from syncd.web.credentials import Credentials
from syncd.web.pages import Allowance, Site, pages
from syncd.web.server import served
from syncd.wiring.clock import now
from syncd.wiring.parts import open_parts
from syncd.wiring.patience import Impatient


@contextmanager
def open_admin(settings: Settings, store: Store, log: FilteringBoundLogger, stopping: Event) -> Iterator[None]:
    """The endpoints and pages, served for as long as the block lasts; none when they are switched off.

    Setting ``stopping`` ends what somebody waits for who looks at them.
    Raises `ConfigurationError` when the address is taken.
    """
    address = settings.admin.address
    if address is None:
        yield
        return
    with served(admin_app(settings, store, log, stopping), address):
        yield


def admin_app(settings: Settings, store: Store, log: FilteringBoundLogger, stopping: Event) -> Starlette:
    """What is served there."""
    organisations, admin = settings.onefile.all_organisations, settings.admin
    credentials = Credentials(
        admin.token.get_secret_value(),
        admin.password_hash.get_secret_value(),
        admin.viewer_token.get_secret_value(),
        admin.viewer_password_hash.get_secret_value(),
    )
    return make_app(store, organisations, credentials, now, pages(_site(settings, store, log, stopping)))


def _site(settings: Settings, store: Store, log: FilteringBoundLogger, stopping: Event) -> Site:
    onefile = settings.onefile
    turns = StoredTurns(store, onefile.customer_token.get_secret_value())
    one_at_a_time = Lock()

    def explain(organisation_id: int, misid: str) -> Explanation:
        # A client of its own, or its calls would be counted as those of a run that is at work.
        with one_at_a_time, open_parts(settings, store, log, Impatient(stopping)) as parts:
            return explanation_of(parts.turn_of(organisation_id), misid)

    def allowance() -> Allowance:
        return Allowance(turns.calls_of_last_minute(now()), onefile.calls_per_minute)

    return Site(store, onefile.all_organisations, now, ZoneInfo(settings.schedule.timezone), explain, allowance)


def schedule(settings: Settings) -> Schedule:
    """When the daemon polls and verifies, and how long it keeps what it did."""
    given = settings.schedule
    return Schedule(
        When(given.poll, given.poll_interval),
        When(given.verify, given.verify_interval),
        given.timezone,
        settings.state.keep,
    )

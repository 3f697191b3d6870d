"""The daemon's web server: endpoints for monitors and scripts, and pages for people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Lock
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from structlog.typing import FilteringBoundLogger

from syncd.operations.explain import Explanation
from syncd.operations.explain import explain as explanation_of
from syncd.settings import Settings
from syncd.state.db.store import Store
from syncd.state.rate_limit import StoredRateLimit
from syncd.web.app import make_app
from syncd.web.auth.credentials import Credentials
from syncd.web.connections import ConnectionLimits
from syncd.web.metrics import Metrics, Requests
from syncd.web.pages import Allowance, PageContext, pages
from syncd.web.server import served
from syncd.wiring.bounded_wait import ShortWait
from syncd.wiring.clock import now
from syncd.wiring.context import open_context


@contextmanager
def open_admin(
    in_force: Callable[[], Settings],
    store: Store,
    log: FilteringBoundLogger,
    stopping: Event,
    requests: Requests | None = None,
) -> Iterator[None]:
    """Serve the endpoints and pages for as long as the block lasts; nothing is served if they are switched off.

    ``in_force`` returns the daemon's current configuration; only keys that a reload may change are read again.
    Setting ``stopping`` ends every wait of a page. ``requests`` counts the requests that this process makes.
    Raises `ConfigurationError` if the address is taken.
    """
    admin = in_force().admin
    if admin.address is None:
        yield
        return
    limits = ConnectionLimits(trusted_proxies=admin.trusted_proxies)
    with served(admin_app(in_force, store, log, stopping, requests), admin.address, limits=limits):
        yield


def admin_app(
    in_force: Callable[[], Settings],
    store: Store,
    log: FilteringBoundLogger,
    stopping: Event,
    requests: Requests | None = None,
) -> Starlette:
    """The application with the endpoints and pages."""
    settings = in_force()
    organisations, admin = settings.onefile.all_organisations, settings.admin
    credentials = Credentials(
        admin.token.get_secret_value(),
        admin.password_hash.get_secret_value(),
        admin.viewer_token.get_secret_value(),
        admin.viewer_password_hash.get_secret_value(),
    )
    site = _site(in_force, store, log, stopping)
    measured = Metrics(
        store, organisations, now, lambda: _share(site.allowance()), requests, lambda: in_force().guard.limits
    )
    return make_app(store, organisations, credentials, now, pages(site), measured, site.calls_per_minute, log)


def _share(allowance: Allowance) -> float:
    return allowance.calls / allowance.per_minute


def _site(in_force: Callable[[], Settings], store: Store, log: FilteringBoundLogger, stopping: Event) -> PageContext:
    settings = in_force()
    onefile = settings.onefile
    turns = StoredRateLimit(store, onefile.customer_token.get_secret_value())
    one_at_a_time = Lock()

    def explain(organisation_id: int, misid: str) -> Explanation:
        # A separate client, or its calls would be counted as those of a run in progress.
        with one_at_a_time, open_context(in_force(), store, log, ShortWait(stopping)) as context:
            return explanation_of(context.for_organisation(organisation_id), misid)

    def allowance() -> Allowance:
        return Allowance(turns.calls_of_last_minute(now()), calls_per_minute())

    def calls_per_minute() -> int:
        return in_force().onefile.calls_per_minute

    def keep() -> timedelta:
        return in_force().state.keep

    zone = ZoneInfo(settings.schedule.timezone)
    return PageContext(store, onefile.all_organisations, now, zone, explain, allowance, log, calls_per_minute, keep)

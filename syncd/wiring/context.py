"""The sync context: the MIS, OneFile, and the operator's policy."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event

from structlog.typing import FilteringBoundLogger

from syncd.core.misid import canonical
from syncd.errors import ConfigurationError
from syncd.mis import Mis
from syncd.onefile import OneFile, OnRequest, RateLimiter
from syncd.route import Route
from syncd.secret_file import unreadable
from syncd.settings import FeedSettings, Settings
from syncd.state.db.owner import customer_hash
from syncd.state.db.store import Store
from syncd.state.rate_limit import StoredRateLimit
from syncd.sync.context import LONGEST_SEARCH_LAG, Feed, Policy, SyncContext
from syncd.wiring.clock import now
from syncd.wiring.onefile import check_token


@contextmanager
def open_context(
    settings: Settings,
    store: Store,
    log: FilteringBoundLogger,
    stopping: Event,
    on_request: OnRequest = lambda _request: None,
    *,
    route: Route | None = None,
) -> Iterator[SyncContext]:
    """Everything a run needs. Setting ``stopping`` ends every wait and query, and prevents further calls.

    ``on_request`` is called with each request to OneFile and its result. ``route`` replaces the configured route to
    OneFile. Raises `ConfigurationError`.
    """
    onefile = settings.onefile
    token = onefile.customer_token.get_secret_value()
    if not token:
        raise ConfigurationError(
            "No customer token is set: set SYNCD_ONEFILE__CUSTOMER_TOKEN, or write it into the file of "
            "onefile.customer_token_file (with the unit of systemd, /etc/syncd/customer-token)."
        )
    check_token(token)
    rate_limiter = RateLimiter(
        StoredRateLimit(store, token),
        onefile.calls_per_minute,
        clock=now,
        sleep=stopping.wait,
        quiet=settings.schedule.quiet,
        zone=settings.schedule.timezone,
    )
    feeds, assignment_feeds = (
        tuple(
            Feed(feed.name, feed.yields, _query_of(feed), feed.watermark)
            for feed in settings.feeds
            if (feed.kind == "assignments") is are_assignments
        )
        for are_assignments in (False, True)
    )
    with OneFile(
        onefile.url,
        token,
        rate_limiter,
        clock=now,
        timeout_seconds=onefile.timeout_seconds,
        max_in_flight=onefile.max_in_flight,
        on_request=on_request,
        route=route or Route.to(onefile.url, onefile.proxy_url, onefile.ca_file),
        on_throttled=lambda seconds: log.warning("throttled", seconds=round(seconds, 1)),
    ) as client:
        yield SyncContext(
            organisation_id=onefile.organisation_id,
            mis=Mis(
                settings.source.connection_url,
                settings.source.timeout_seconds,
                settings.source.oracle_client,
                stopping.is_set,
                settings.schedule.timezone,
            ),
            feeds=feeds,
            onefile=client,
            store=store,
            policy=_policy(settings),
            log=log,
            clock=now,
            is_stopping=stopping.is_set,
            assignment_feeds=assignment_feeds,
            organisations=onefile.all_organisations,
            customer=customer_hash(token),
        )


def _policy(settings: Settings) -> Policy:
    return Policy(
        limits=settings.guard.limits,
        archives_leavers=settings.leavers.action == "archive",
        grace=timedelta(days=settings.leavers.grace_days),
        protected=_protected(settings.leavers.protect),
        clear=settings.onefile.clear,
        defaults=settings.defaults.by_field,
        settle=timedelta(seconds=settings.onefile.settle_seconds),
        # Only of a simulator is every search trusted: see `OneFileSettings`.
        longest_search_lag=LONGEST_SEARCH_LAG if settings.onefile.settle_seconds else timedelta(),
        max_in_flight=settings.onefile.max_in_flight,
        learner_in_assign_path=settings.onefile.assign_path == "learner",
        compare_names=settings.onefile.compare_names,
    )


def _protected(given: tuple[str, ...] | Path) -> frozenset[str]:
    lines = _text_of(given, "leavers.protect").splitlines() if isinstance(given, Path) else given
    return frozenset(filter(None, map(canonical, lines)))


def _query_of(feed: FeedSettings) -> str:
    return _text_of(feed.query_file, f"the query of feed {feed.name}") if feed.query_file else feed.query


def _text_of(file: Path, what: str) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise ConfigurationError(f"{unreadable(file, problem, what)}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}, {what}, is not UTF-8 text.") from None
    if not text.strip():
        raise ConfigurationError(f"{file}, {what}, is empty.")
    return text

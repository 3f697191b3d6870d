"""Metrics for Prometheus: most are read from the state store at each scrape, so that they survive a restart."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from syncd import __version__
from syncd.core.alerts import TROUBLES, Alert, AlertKind, Condition
from syncd.core.guard import ChangeKind, Limits, Window
from syncd.onefile.instrumentation import Request, ResponseKind
from syncd.state import accounts, changes, counters, daemons, guard_usage, held_records, runs, suspensions
from syncd.state.conditions import current_conditions
from syncd.state.db.store import Store
from syncd.state.session import StateSession, reading_session
from syncd.state.views import lag
from syncd.state.views.lag import UnsentChange

_Sample: TypeAlias = tuple[Sequence[str], float]
"""The values of a metric's labels, except the organisation's, and the number."""


class Described(NamedTuple):
    """The type, help text and labels of a metric."""

    kind: str
    what: str
    labels: tuple[str, ...] = ()
    is_stored: bool = True
    """Whether it is read from the state store; otherwise it starts at 0 with the process."""


#: The labels of a metric of one organisation.
_OF: Final = ("organisation",)

#: Every metric, by the name it has in a scrape.
METRICS: Final[Mapping[str, Described]] = {
    "syncd_accounts": Described("gauge", "Accounts that are not archived.", (*_OF, "role")),
    "syncd_held": Described("gauge", "Records that cannot be sent.", (*_OF, "reason")),
    "syncd_warnings": Described("gauge", "Values left out of records that are sent.", _OF),
    "syncd_suspended": Described(
        "gauge",
        "Changes queued because OneFile refuses such actions, by role and action; absent if it is not suspended.",
        (*_OF, "role", "action"),
    ),
    "syncd_in_doubt": Described("gauge", "Creates whose outcome is unknown.", _OF),
    "syncd_drift": Described(
        "gauge", "Accounts in which the last verify has left drift; absent before the first verify.", _OF
    ),
    "syncd_lag_seconds": Described(
        "gauge",
        "Age in seconds of the oldest unsent change, by the reason why it waits: held, in doubt or queued; "
        "0 if none waits.",
        (*_OF, "reason"),
    ),
    "syncd_problem_seconds": Described(
        "gauge", "Seconds since the problem was first seen; 0 if there is none.", (*_OF, "problem")
    ),
    "syncd_runs_total": Described("counter", "Runs, by final state.", (*_OF, "state")),
    "syncd_run_duration_seconds": Described("histogram", "Duration of finished runs.", _OF),
    "syncd_changes_total": Described(
        "counter",
        "Changes, by action and outcome; a change in doubt counts again when it is resolved.",
        (*_OF, "action", "outcome"),
    ),
    "syncd_undone_total": Described("counter", "Changes sent by undos, to take back those of other runs.", _OF),
    "syncd_calls_total": Described("counter", "Requests sent to OneFile by completed runs.", _OF),
    "syncd_allowance_used_ratio": Described(
        "gauge", "Approximate share of onefile.calls_per_minute used in the last minute, by all processes."
    ),
    "syncd_guard_used": Described(
        "gauge",
        "Changes made without approval in the last 24 hours (1d) and 7 days (7d), by kind.",
        (*_OF, "kind", "window"),
    ),
    "syncd_guard_allowed": Described(
        "gauge",
        "Changes of each kind that the guard allows without approval in 24 hours (1d) and 7 days (7d).",
        (*_OF, "window"),
    ),
    "syncd_last_success_timestamp_seconds": Described(
        "gauge", "When the last complete run (not limited to MISIDs) finished; 0 if none has.", _OF
    ),
    "syncd_next_run_timestamp_seconds": Described(
        "gauge", "When the daemon starts the next run; 0 if no daemon is running or it polls only on request.", _OF
    ),
    "syncd_build_info": Described("gauge", "Always 1; the labels are the versions.", ("version", "python")),
    "syncd_throttled_total": Described("counter", "Requests that OneFile answered with 429.", is_stored=False),
    "syncd_onefile_request_duration_seconds": Described(
        "histogram", "Response time of OneFile.", ("endpoint", "answer"), is_stored=False
    ),
}

#: OneFile usually answers in about half a second; a call times out after onefile.timeout_seconds.
_REQUEST_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Requests(Collector):
    """The requests to OneFile that this process has made since it started. Thread-safe."""

    def __init__(self) -> None:
        throttled, durations = "syncd_throttled_total", "syncd_onefile_request_duration_seconds"
        self._throttled = Counter(throttled, METRICS[throttled].what, registry=None)
        described = METRICS[durations]
        self._durations = Histogram(
            durations, described.what, described.labels, registry=None, buckets=_REQUEST_BUCKETS
        )

    def note(self, request: Request) -> None:
        """Count one request."""
        if request.answer is ResponseKind.THROTTLED:
            self._throttled.inc()
        self._durations.labels(request.endpoint, request.answer).observe(request.seconds)

    def collect(self) -> Iterator[Metric]:
        """Every metric, in the form that Prometheus' client expects."""
        yield from self._throttled.collect()
        yield from self._durations.collect()


class Metrics:
    """All metrics.

    ``clock`` returns the time in UTC, ``allowance_used`` the share of the allowed calls made in the last minute, and
    ``limits`` those of the guard; ``requests`` are the requests of this process.
    """

    def __init__(
        self,
        store: Store,
        organisations: Sequence[int],
        clock: Callable[[], datetime],
        allowance_used: Callable[[], float] = lambda: 0.0,
        requests: Requests | None = None,
        limits: Callable[[], Limits] = Limits,
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(StoreCollector(store, organisations, clock, allowance_used, limits))
        self._registry.register(requests or Requests())

    def scrape(self) -> bytes:
        """Return every metric in Prometheus' text format. Raises `StateUnusable` when the store cannot be read."""
        return generate_latest(self._registry)


class StoreCollector(Collector):
    """The metrics of every organisation. Raises `StateUnusable` when the store cannot be read."""

    def __init__(
        self,
        store: Store,
        organisations: Sequence[int],
        clock: Callable[[], datetime],
        allowance_used: Callable[[], float],
        limits: Callable[[], Limits],
    ) -> None:
        self._store = store
        self._organisations = organisations
        self._clock = clock
        self._allowance_used = allowance_used
        self._limits = limits

    def describe(self) -> Iterable[Metric]:
        """No metric in advance: describing them would read the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric, in the form that Prometheus' client expects."""
        families: dict[str, Any] = {
            name: _FAMILIES[described.kind](name, described.what, labels=described.labels)
            for name, described in METRICS.items()
            if described.is_stored
        }
        families["syncd_build_info"].add_metric([__version__, platform.python_version()], 1)
        families["syncd_allowance_used_ratio"].add_metric([], self._allowance_used())
        now = self._clock()
        with reading_session(self._store, self._organisations[0], self._clock) as session:
            for organisation_id in self._organisations:
                whose = [str(organisation_id)]
                counted = counters.values(session.connection, organisation_id)
                here = session.for_organisation(organisation_id)
                for name, samples in (_samples(here, counted, now) | _guard(here, self._limits())).items():
                    for labels, number in samples:
                        families[name].add_metric([*whose, *labels], number)
                buckets, seconds = _run_durations(counted)
                families["syncd_run_duration_seconds"].add_metric(whose, buckets, seconds)
        yield from families.values()


_FAMILIES: Final[Mapping[str, Callable[..., Metric]]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}

_Label = TypeVar("_Label", bound=str)
_Counted: TypeAlias = Mapping[str, Mapping[str, float]]


def _samples(session: StateSession, counted: _Counted, now: datetime) -> dict[str, Iterable[_Sample]]:
    held, warnings = held_records.counts(session)
    waits = lag.oldest(session.connection, session.organisation_id)
    since = _since_by_kind(current_conditions(session))
    last_success_at = runs.last_success_at(session)
    return {
        "syncd_accounts": _by_label(accounts.count_by_role(session)),
        "syncd_held": _by_label(held),
        "syncd_warnings": [((), warnings)],
        "syncd_suspended": [((each.kind.role, each.kind.action), each.queued) for each in suspensions.listing(session)],
        "syncd_in_doubt": [((), changes.in_doubt(session))],
        "syncd_drift": [((), drift)] if (drift := runs.drift_left(session)) is not None else [],
        "syncd_lag_seconds": [((reason,), _age(waits[reason], now)) for reason in UnsentChange],
        "syncd_problem_seconds": [((problem,), _age(since.get(problem), now)) for problem in _SEEN_BY_RUNS],
        "syncd_runs_total": [((state,), number) for state, number in counted[counters.RUNS].items()],
        "syncd_changes_total": [(label.split(), number) for label, number in counted[counters.CHANGES].items()],
        "syncd_undone_total": [((), counted[counters.UNDONE].get("", 0))],
        "syncd_calls_total": [((), counted[counters.CALLS].get("", 0))],
        "syncd_last_success_timestamp_seconds": [((), _seconds(last_success_at))],
        "syncd_next_run_timestamp_seconds": [((), _seconds(daemons.next_run_at(session)))],
    }


def _guard(session: StateSession, limits: Limits) -> dict[str, Iterable[_Sample]]:
    """How much of the guard's limits of a day and a week is used, and how much they are."""
    usage = guard_usage.usage(session)
    windows = {Window.DAY: "1d", Window.WEEK: "7d"}
    return {
        "syncd_guard_used": [
            ((kind, name), usage.used(kind, window)) for kind in ChangeKind for window, name in windows.items()
        ],
        "syncd_guard_allowed": [((name,), limits.allowed(usage.accounts, window)) for window, name in windows.items()],
    }


def _since_by_kind(conditions: Mapping[Alert, Condition]) -> dict[AlertKind, datetime]:
    """Since when there is a problem of each kind; the oldest counts."""
    since: dict[AlertKind, datetime] = {}
    for alert, condition in conditions.items():
        since[alert.kind] = min(condition.since, since.get(alert.kind, condition.since))
    return since


#: Without the store there is no scrape.
_SEEN_BY_RUNS: Final = tuple(subject for subject in TROUBLES if subject is not AlertKind.STORE)


def _run_durations(counted: _Counted) -> tuple[list[tuple[str, float]], float]:
    """The cumulative buckets, and the sum."""
    within = counted[counters.RUNS_WITHIN]
    total = 0.0
    buckets = []
    for bound in (*map(counters.bound_text, counters.RUN_BUCKETS), counters.INFINITE):
        total += within.get(bound, 0)
        buckets.append((bound, total))
    return buckets, counted[counters.RUN_SECONDS].get("", 0)


def _by_label(counts: Mapping[_Label, int]) -> Iterable[_Sample]:
    return (((label,), count) for label, count in sorted(counts.items()))


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def _age(since: datetime | None, now: datetime) -> float:
    """In seconds; zero for a time in the future, which a clock that was set back leaves behind."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0

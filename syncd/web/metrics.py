"""Metrics for Prometheus, read from the state store at each scrape, so that they survive a restart."""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from syncd.state import accounts, changes, holding, runs
from syncd.state.store import Store


class StoreCollector(Collector):
    """One organisation's metrics. Raises `StateUnusable` when the store cannot be read."""

    def __init__(self, store: Store, organisation_id: int) -> None:
        self._store = store
        self._organisation_id = organisation_id

    def collect(self) -> Iterator[Metric]:
        """Every metric, as Prometheus' client asks for them."""
        organisation_id = self._organisation_id
        with self._store.begin() as connection:
            by_role = accounts.by_role(connection, organisation_id)
            held, warnings = holding.counts(connection, organisation_id)
            in_doubt = changes.in_doubt(connection, organisation_id)
            sent = changes.counts(connection, organisation_id)
            totals = runs.totals(connection, organisation_id)
        yield _labelled(
            GaugeMetricFamily("syncd_accounts", "Accounts that are not archived.", labels=["role"]), by_role
        )
        yield _labelled(GaugeMetricFamily("syncd_held", "Records that cannot be sent.", labels=["reason"]), held)
        yield GaugeMetricFamily("syncd_warnings", "Values left out of records that are sent.", value=warnings)
        yield GaugeMetricFamily("syncd_in_doubt", "Creates of which it is not known what became.", value=in_doubt)
        family = CounterMetricFamily("syncd_changes", "Changes sent, by outcome.", labels=["action", "outcome"])
        for (action, outcome), count in sorted(sent.items()):
            family.add_metric([action, outcome], count)
        yield family
        yield _labelled(
            CounterMetricFamily("syncd_runs", "Runs, by how they ended.", labels=["state"]), totals.by_state
        )
        yield CounterMetricFamily("syncd_calls", "Requests sent to OneFile by runs.", value=totals.calls)
        yield GaugeMetricFamily(
            "syncd_last_success_timestamp_seconds",
            "When a run last came to its end; 0 if none has.",
            value=_seconds(totals.last_success_at),
        )


def _labelled(family: Metric, counts: dict[str, int]) -> Metric:
    for label, count in sorted(counts.items()):
        family.add_metric([label], count)  # type: ignore[attr-defined]
    return family


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0

"""Metrics for Prometheus, read from the state store at each scrape, so that they survive a restart."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from syncd.state import accounts, changes, holding, runs
from syncd.state.store import Store

_Sample = tuple[Sequence[str], float]
"""The values of a metric's labels, the organisation's left out, and the number."""


class StoreCollector(Collector):
    """The metrics of every organisation. Raises `StateUnusable` when the store cannot be read."""

    def __init__(self, store: Store, organisations: Sequence[int]) -> None:
        self._store = store
        self._organisations = organisations

    def collect(self) -> Iterator[Metric]:
        """Every metric, as Prometheus' client asks for them."""
        families = {
            name: (GaugeMetricFamily if kind == "gauge" else CounterMetricFamily)(
                name, what, labels=["organisation", *labels]
            )
            for name, (kind, what, labels) in METRICS.items()
        }
        with self._store.begin() as connection:
            for organisation_id in self._organisations:
                for name, samples in _samples(connection, organisation_id).items():
                    for labels, number in samples:
                        families[name].add_metric([str(organisation_id), *labels], number)
        yield from families.values()


#: Each metric: gauge or counter, what it says, and its labels beside the organisation.
METRICS: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "syncd_accounts": ("gauge", "Accounts that are not archived.", ("role",)),
    "syncd_held": ("gauge", "Records that cannot be sent.", ("reason",)),
    "syncd_warnings": ("gauge", "Values left out of records that are sent.", ()),
    "syncd_in_doubt": ("gauge", "Creates of which it is not known what became.", ()),
    "syncd_changes": ("counter", "Changes sent, by outcome.", ("action", "outcome")),
    "syncd_runs": ("counter", "Runs, by how they ended.", ("state",)),
    "syncd_calls": ("counter", "Requests sent to OneFile by runs.", ()),
    "syncd_last_success_timestamp_seconds": ("gauge", "When a run last came to its end; 0 if none has.", ()),
}


def _samples(connection: Connection, organisation_id: int) -> dict[str, Iterable[_Sample]]:
    held, warnings = holding.counts(connection, organisation_id)
    totals = runs.totals(connection, organisation_id)
    return {
        "syncd_accounts": _by_label(accounts.by_role(connection, organisation_id)),
        "syncd_held": _by_label(held),
        "syncd_warnings": [((), warnings)],
        "syncd_in_doubt": [((), changes.in_doubt(connection, organisation_id))],
        "syncd_changes": sorted(changes.counts(connection, organisation_id).items()),
        "syncd_runs": _by_label(totals.by_state),
        "syncd_calls": [((), totals.calls)],
        "syncd_last_success_timestamp_seconds": [((), _seconds(totals.last_success_at))],
    }


def _by_label(counts: dict[str, int]) -> Iterable[_Sample]:
    return (((label,), count) for label, count in sorted(counts.items()))


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0

"""What monitors count: numbers that only ever grow, read in no time however much has been done, and never purged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from syncd.state.db.tables import counter

RUNS: Final = "runs"
"""By how they ended."""
CHANGES: Final = "changes"
"""By action and outcome, with a space between; what is settled later counts again, under what became of it."""
CALLS: Final = "calls"
RUN_SECONDS: Final = "run_seconds"
"""The seconds that finished runs took, all together."""
RUNS_WITHIN: Final = "runs_within"
"""Finished runs, by the smallest of `RUN_BUCKETS` that they stayed within, or `INFINITE`."""

#: A poll with nothing new takes a second or so, the first run of a large group half a day.
RUN_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
INFINITE: Final = "+Inf"

_Insert: TypeAlias = sqlite.Insert | postgresql.Insert


def _addition(insert: _Insert) -> _Insert:
    return insert.on_conflict_do_update(
        index_elements=list(counter.primary_key.columns), set_={"value": counter.c.value + insert.excluded.value}
    )


_ADDITIONS: Final[Mapping[str, _Insert]] = {
    "sqlite": _addition(sqlite.insert(counter)),
    "postgresql": _addition(postgresql.insert(counter)),
}


def add(connection: Connection, organisation_id: int, counter: str, label: str = "", number: float = 1) -> None:
    """Count so many more, in the transaction of what is counted."""
    _add(connection, organisation_id, [(counter, label, number)])


def add_run(connection: Connection, organisation_id: int, ending: str, calls: int, seconds: float | None) -> None:
    """Count one more run that is over, with its calls and, if it was finished, how long it took.

    A clock that was set back makes none shorter than nothing.
    """
    told = [(RUNS, ending, 1.0)]
    if calls:
        told.append((CALLS, "", calls))
    if seconds is not None:
        seconds = max(seconds, 0.0)
        bucket = next((bound_text(bound) for bound in RUN_BUCKETS if seconds <= bound), INFINITE)
        told += [(RUNS_WITHIN, bucket, 1.0), (RUN_SECONDS, "", seconds)]
    _add(connection, organisation_id, told)


def _add(connection: Connection, organisation_id: int, told: Sequence[tuple[str, str, float]]) -> None:
    connection.execute(
        _ADDITIONS[connection.dialect.name],
        [
            {"organisation_id": organisation_id, "counter": counter, "label": label, "value": number}
            for counter, label, number in told
        ],
    )


def values(connection: Connection, organisation_id: int) -> Mapping[str, Mapping[str, float]]:
    """Everything that was counted, by counter and label. Asked for a counter that is not there, it has nothing."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for row in connection.execute(select(counter).where(counter.c.organisation_id == organisation_id)):
        found[row.counter][row.label] = row.value
    return found


def bound_text(bound: float) -> str:
    """The upper bound of a bucket, as Prometheus writes it."""
    return str(bound)

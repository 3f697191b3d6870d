"""Counters for monitoring: they only grow, are fast to read at any size of the store, and are never purged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, select

from syncd.state.db.tables import counter

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

RUNS: Final = "runs"
"""By how the run ended."""
CHANGES: Final = "changes"
"""By action and outcome, separated by a space; a change settled later counts again, under its new outcome."""
CALLS: Final = "calls"
UNDONE: Final = "undone"
"""The changes that undos have sent to take back those of other runs."""
RUN_SECONDS: Final = "run_seconds"
"""The total seconds that finished runs took."""
RUNS_WITHIN: Final = "runs_within"
"""Finished runs, by the smallest of `RUN_BUCKETS` that is not shorter than the run, or `INFINITE`."""

#: A poll with nothing new takes a second or so, the first run of a large group half a day.
RUN_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
INFINITE: Final = "+Inf"


@cache
def _addition(dialect: str) -> "sqlite.Insert | postgresql.Insert":
    # Only the dialect of the store is imported: PostgreSQL's takes as long as the rest of a short command.
    insert: sqlite.Insert | postgresql.Insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(counter)
    return insert.on_conflict_do_update(
        index_elements=list(counter.primary_key.columns), set_={"value": counter.c.value + insert.excluded.value}
    )


def add(connection: Connection, organisation_id: int, counter: str, label: str = "", number: float = 1) -> None:
    """Add a number to a counter, in the same transaction as the change or run that it counts."""
    _add(connection, organisation_id, [(counter, label, number)])


def add_run(
    connection: Connection, organisation_id: int, ending: str, calls: int, seconds: float | None, undone: int = 0
) -> None:
    """Count one more run that is over, with its calls and, if it was finished, how long it took.

    If the clock was set back, the run counts as 0 seconds. ``undone`` is how many changes an undo has sent.
    """
    additions = [(RUNS, ending, 1.0)]
    if calls:
        additions.append((CALLS, "", calls))
    if undone:
        additions.append((UNDONE, "", undone))
    if seconds is not None:
        seconds = max(seconds, 0.0)
        bucket = next((bound_text(bound) for bound in RUN_BUCKETS if seconds <= bound), INFINITE)
        additions += [(RUNS_WITHIN, bucket, 1.0), (RUN_SECONDS, "", seconds)]
    _add(connection, organisation_id, additions)


def _add(connection: Connection, organisation_id: int, additions: Sequence[tuple[str, str, float]]) -> None:
    connection.execute(
        _addition(connection.dialect.name),
        [
            {"organisation_id": organisation_id, "counter": counter, "label": label, "value": number}
            for counter, label, number in additions
        ],
    )


def values(connection: Connection, organisation_id: int) -> Mapping[str, Mapping[str, float]]:
    """Every counter's values by label. A counter that does not exist has none."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for row in connection.execute(select(counter).where(counter.c.organisation_id == organisation_id)):
        found[row.counter][row.label] = row.value
    return found


def bound_text(bound: float) -> str:
    """The upper bound of a bucket, as Prometheus writes it."""
    return str(bound)

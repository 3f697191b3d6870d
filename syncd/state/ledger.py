"""What monitors count: numbers that only ever grow, read in no time however much has been done, and never purged."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from syncd.state.tables import ledger

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
_INSERTS: Final[Mapping[str, Callable[[Table], _Insert]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def add(connection: Connection, organisation_id: int, counter: str, label: str = "", number: float = 1) -> None:
    """Count so many more, in the transaction of what is counted."""
    insert = _INSERTS[connection.dialect.name](ledger).values(
        organisation_id=organisation_id, counter=counter, label=label, number=number
    )
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=list(ledger.primary_key.columns), set_={"number": ledger.c.number + insert.excluded.number}
        )
    )


def add_run_of(connection: Connection, organisation_id: int, seconds: float) -> None:
    """Count one more finished run, by how long it took; a clock that was set back makes none shorter than nothing."""
    seconds = max(seconds, 0.0)
    bucket = next((bound_text(bound) for bound in RUN_BUCKETS if seconds <= bound), INFINITE)
    add(connection, organisation_id, RUNS_WITHIN, bucket)
    add(connection, organisation_id, RUN_SECONDS, number=seconds)


def counted(connection: Connection, organisation_id: int) -> Mapping[str, Mapping[str, float]]:
    """Everything that was counted, by counter and label. Asked for a counter that is not there, it has nothing."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for row in connection.execute(select(ledger).where(ledger.c.organisation_id == organisation_id)):
        found[row.counter][row.label] = row.number
    return found


def bound_text(bound: float) -> str:
    """The upper bound of a bucket, as Prometheus writes it."""
    return str(bound)

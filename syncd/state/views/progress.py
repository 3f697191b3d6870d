"""The progress of a run, and how long it still needs."""

from dataclasses import dataclass

from sqlalchemy import Connection

from syncd.core.rate import seconds_for
from syncd.core.run import RunState
from syncd.state import runs


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run that is not over."""

    run: int
    begun: int
    """The changes that were sent or are being sent."""
    planned: int
    """The changes it will send; 0 while it reads and compares."""
    seconds_left: int
    """How long the remaining changes take at OneFile's rate limit, without quiet windows."""


def progress(connection: Connection, organisation_id: int, calls_per_minute: int) -> Progress | None:
    """The progress of an organisation's newest run under this rate limit; ``None`` if the run is over."""
    last = runs.last(connection, organisation_id)
    if last is None or last.state != RunState.RUNNING:
        return None
    begun, planned = runs.changes_begun(connection, last.id), last.creates + last.updates
    return Progress(last.id, begun, planned, seconds_for(max(0, planned - begun), calls_per_minute))

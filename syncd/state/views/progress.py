"""How far a run has come that is at work, and how long it takes yet."""

from dataclasses import dataclass

from sqlalchemy import Connection

from syncd.core.rate import seconds_for
from syncd.core.run import RunState
from syncd.state import runs


@dataclass(frozen=True, slots=True)
class Progress:
    """The changes of a run that is at work."""

    run: int
    begun: int
    """How many were sent, or are being sent."""
    planned: int
    """How many it is to send; 0 while it reads and compares."""
    seconds_left: int
    """How long the others take at OneFile's pace, quiet windows not counted."""


def progress(connection: Connection, organisation_id: int, calls_per_minute: int) -> Progress | None:
    """That of an organisation's newest run, under this limit of OneFile's; ``None`` when it is over."""
    last = runs.last(connection, organisation_id)
    if last is None or last.state != RunState.RUNNING:
        return None
    begun, planned = runs.started(connection, last.id), last.creates + last.updates
    return Progress(last.id, begun, planned, seconds_for(max(0, planned - begun), calls_per_minute))

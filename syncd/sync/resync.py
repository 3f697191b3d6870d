"""Runs that somebody has asked for: answering them, and letting those for a few people go ahead of whatever is long."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from syncd.core.run import Trigger
from syncd.errors import StateUnusable, SyncdError
from syncd.onefile import Interrupted, Yielded
from syncd.state import resync_requests, runs
from syncd.state.db.store import Store
from syncd.sync.context import SyncContext
from syncd.sync.run import run_once

#: A run that has given way makes its plan anew, so those who ask without end must leave it time to send some of it.
_SENDS_ON: Final = timedelta(seconds=10)

_Result = TypeVar("_Result")


class ResyncWaiting:
    """Whether something long is to give way: somebody waits for a run of a few people of these organisations.

    Any thread may ask.
    """

    def __init__(self, store: Store, organisations: Sequence[int], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._organisations = organisations
        self._clock = clock
        self._gave_way_at = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> bool:
        """Whether it is to give way now."""
        if timedelta() <= self._clock() - self._gave_way_at < _SENDS_ON:
            return False
        try:
            with self._store.reading() as connection:
                return any(
                    resync_requests.waiting(connection, each, targeted_only=True) for each in self._organisations
                )
        except StateUnusable:
            # That is for the call to find out.
            return False

    def record_yielded(self) -> None:
        """Leave what is long some time to go on."""
        self._gave_way_at = self._clock()


def run_yielding_to_resyncs(context: SyncContext, work: Callable[[SyncContext], _Result]) -> _Result:
    """Do something long, in which the runs of a few people that others ask for meanwhile are made first.

    ``work`` is begun again after each, and is to go on where it was. The caller holds the organisation's lock.
    Raises what ``work`` raises.
    """
    urgency = ResyncWaiting(context.store, [context.organisation_id], context.clock)
    while True:
        try:
            return work(replace(context, should_yield=urgency))
        except Yielded:
            # Their run has logged its own end, and is no concern of this one.
            with suppress(SyncdError):
                answer(context, named_only=True)
            urgency.record_yielded()


def answer(context: SyncContext, *, named_only: bool = False) -> None:
    """Make one run for all who ask for one, or for all who name somebody. The caller holds the organisation's lock.

    Raises as `run_once` does; that, too, answers them, unless syncd was told to stop or the store cannot be reached.
    """
    with context.store.reading() as connection:
        requests = resync_requests.waiting(connection, context.organisation_id, targeted_only=named_only)
    if not requests:
        return
    scope = resync_requests.requested_scope(requests)
    if not scope.is_everyone:
        # It is what others give way to.
        context = replace(context, should_yield=lambda: False)
    answered = [request.id for request in requests]
    try:
        asked_by = ", ".join(sorted({request.requested_by for request in requests}))
        run_once(context, Trigger.REQUEST, scope=scope, asked_by=asked_by)
    except (Interrupted, StateUnusable):
        # That is no answer: they wait on, for the next daemon if this one is to end.
        answered = []
        raise
    finally:
        if answered:
            _note_answer(context, answered)


def _note_answer(context: SyncContext, answered: Sequence[int]) -> None:
    with context.store.begin() as connection:
        newest = runs.last(connection, context.organisation_id)
        if newest:
            resync_requests.record_answer(connection, answered, newest.id)

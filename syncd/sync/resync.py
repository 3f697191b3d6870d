"""Resyncs: answer the requests for runs, and pause long work for those that name MISIDs."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from syncd.core.run import Trigger
from syncd.errors import Interrupted, StateUnusable, SyncdError
from syncd.onefile import Yielded
from syncd.state import resync_requests, runs
from syncd.state.db.store import Store
from syncd.state.resync_requests import ResyncRequest
from syncd.state.session import reading_session
from syncd.sync.context import SyncContext
from syncd.sync.run import RunResult, run_once, undo_once

#: A run that has yielded makes a new plan, so it needs time to send some of it before it yields again.
_SENDS_ON: Final = timedelta(seconds=10)

_Result = TypeVar("_Result")


class ResyncWaiting:
    """Whether long work must yield: a resync with named MISIDs waits in one of these organisations.

    Any thread may ask.
    """

    def __init__(self, store: Store, organisations: Sequence[int], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._organisations = organisations
        self._clock = clock
        self._gave_way_at = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> bool:
        """Whether the work must yield now."""
        if timedelta() <= self._clock() - self._gave_way_at < _SENDS_ON:
            return False
        try:
            with reading_session(self._store, self._organisations[0], self._clock) as session:
                return any(
                    resync_requests.waiting(session.for_organisation(each), targeted_only=True)
                    for each in self._organisations
                )
        except StateUnusable:
            # The work itself raises this at its next access.
            return False

    def record_yielded(self) -> None:
        """Give the work some time before it yields again."""
        self._gave_way_at = self._clock()


def run_yielding_to_resyncs(context: SyncContext, work: Callable[[SyncContext], _Result]) -> _Result:
    """Do long work that yields to resyncs with named MISIDs.

    ``work`` is called again after each, and must continue where it was. The caller holds the organisation's lock.
    Raises what ``work`` raises.
    """
    urgency = ResyncWaiting(context.store, [context.organisation_id], context.clock)
    while True:
        try:
            return work(replace(context, should_yield=urgency))
        except Yielded:
            # The resync has logged its own end, which does not affect this work.
            with suppress(SyncdError):
                answer(context, named_only=True)
            urgency.record_yielded()


def answer(context: SyncContext, *, named_only: bool = False) -> None:
    """Make one run for all requests, or for all that name MISIDs; one for each request to undo a run.

    The caller holds the organisation's lock. Raises as `run_once` and `undo_once` do; that, too, answers the requests,
    unless syncd must stop or the store cannot be reached.
    """
    with context.reading_session() as session:
        waiting = resync_requests.waiting(session, targeted_only=named_only)
    requests = [request for request in waiting if request.undone_run_id is None]
    for request in waiting:
        if request.undone_run_id is not None:
            undoing = partial(undo_once, number=request.undone_run_id, misids=request.misids)
            _answer(context, [request], undoing)
    if not requests:
        return
    scope = resync_requests.requested_scope(requests)
    if not scope.is_everyone:
        # Other work yields to this run.
        context = replace(context, should_yield=lambda: False)
    _answer(context, requests, partial(run_once, trigger=Trigger.REQUEST, scope=scope))


def _answer(context: SyncContext, requests: Sequence[ResyncRequest], work: Callable[..., RunResult]) -> None:
    answered = [request.id for request in requests]
    try:
        work(context, asked_by=", ".join(sorted({request.requested_by for request in requests})))
    except (Interrupted, StateUnusable):
        # That is not an answer: the requests stay open, for the next daemon if this one ends.
        answered = []
        raise
    finally:
        if answered:
            _note_answer(context, answered)


def _note_answer(context: SyncContext, answered: Sequence[int]) -> None:
    with context.session() as session:
        newest = runs.last(session)
        if newest:
            resync_requests.record_answer(session, answered, newest.id)

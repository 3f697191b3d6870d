"""Counts what a run has sent, reports its progress, and logs how far a long run has come."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from threading import Lock
from typing import Final, TypeAlias

from syncd.core.run import Action, Outcome
from syncd.sync.context import SyncContext

#: How often a long run logs its progress.
_LOGGED_EVERY: Final = timedelta(minutes=5)

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of steps that are done, and of all steps."""


class RunTally:
    """The counts of one run. Any thread may count."""

    def __init__(self, context: SyncContext, progress: Progress) -> None:
        self._context = context
        self._progress = progress
        self._lock = Lock()
        self._done = 0
        self._total = 0
        self._logged_at = context.clock()
        self.outcomes: Counter[Outcome] = Counter()
        self.applied: Counter[Action] = Counter()
        self.held = 0
        """How many records the run could not send, besides those that the plan holds."""
        self.passwords_dropped = 0

    def begin(self, total: int) -> None:
        """Start to count ``total`` more steps."""
        self._total += total

    def count(self, outcome: Outcome, action: Action | None = None) -> None:
        """Count a step that was sent, and its action if it was applied."""
        with self._lock:
            self.outcomes[outcome] += 1
            if action is not None:
                self.applied[action] += 1
            self._step_done()

    def doubt_create(self) -> None:
        """Count a create as in doubt that was counted as applied."""
        with self._lock:
            self.outcomes[Outcome.APPLIED] -= 1
            self.applied[Action.CREATE] -= 1
            self.outcomes[Outcome.IN_DOUBT] += 1

    def skip(self) -> None:
        """Count a step that could not be sent."""
        with self._lock:
            self._step_done()

    def count_held(self) -> None:
        """Count a record that could not be sent as it is."""
        with self._lock:
            self.held += 1

    def count_dropped_password(self) -> None:
        """Count a password that OneFile has returned and that was not stored."""
        with self._lock:
            self.passwords_dropped += 1

    def _step_done(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)
        now = self._context.clock()
        # If the clock was set back, the next step logs at once instead of waiting for it to catch up.
        if timedelta() <= now - self._logged_at < _LOGGED_EVERY:
            return
        self._logged_at = now
        left = max(0, self._total - self._done)
        seconds = ceil(left / self._context.onefile.rate_limiter.calls_per_second)
        self._context.log.info("run_progress", done=self._done, planned=self._total, seconds_left=seconds)

"""Creates that OneFile has accepted without returning the id, as it does while Keychain creation is on (§8.3)."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Final

from structlog.typing import FilteringBoundLogger

from syncd.core.records import Key
from syncd.core.run import Action, Outcome
from syncd.core.values import Sent
from syncd.errors import Interrupted, OneFileError
from syncd.state import accounts, changes
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.tally import RunTally

_FIRST_PAUSE_SECONDS: Final = 1.0
#: A service manager kills a process that takes too long to end, and calls in flight may still have to be waited for.
_SHUTDOWN_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Accepted:
    change: int
    fields: Mapping[str, Sent]
    log: FilteringBoundLogger


class AcceptedCreates:
    """Finds the ids of accounts that OneFile has created without returning them. Any thread may add one."""

    def __init__(self, context: SyncContext, lookup: OneFileLookup, tally: RunTally) -> None:
        self._context = context
        self._lookup = lookup
        self._tally = tally
        self._lock = Lock()
        self._creates: dict[Key, _Accepted] = {}

    def add(self, key: Key, change: int, fields: Mapping[str, Sent], log: FilteringBoundLogger) -> None:
        """Add a create: the number of its change, what was sent, and where its outcome is logged."""
        with self._lock:
            self._creates[key] = _Accepted(change, fields, log)

    def find(self) -> None:
        """Search OneFile for the accounts; a create whose account is not found is in doubt.

        OneFile's search may lag behind, so it searches again until the time is over after which an answer is trusted.
        """
        pause = _FIRST_PAUSE_SECONDS
        left = self._context.policy.settle.total_seconds()
        while self._creates:
            wanted = {key: accepted.fields for key, accepted in self._creates.items()}
            for key, user_ids in self._lookup.find_created(wanted).items():
                if len(user_ids) == 1:
                    self._record_found(key, user_ids[0])
            if not self._creates or left <= 0:
                break
            pause = min(pause * 2, left)
            left -= pause
            self._context.onefile.rate_limiter.sleep(pause)
        self.give_up()

    def find_before_shutdown(self) -> None:
        """Search for as long as a stopping process may still take."""
        with suppress(OneFileError, Interrupted), self._context.onefile.rate_limiter.shutdown_grace(_SHUTDOWN_SECONDS):
            self.find()

    def give_up(self) -> None:
        """Count the creates that were not found as in doubt; a later run settles them."""
        for accepted in self._creates.values():
            accepted.log.warning("change_in_doubt")
            self._tally.count(Outcome.IN_DOUBT)
        self._creates.clear()

    def _record_found(self, key: Key, user_id: int) -> None:
        with self._context.session() as session:
            if accounts.owner_of(session, key, user_id) is not None:
                # It stays in doubt, and settling says why.
                return
            accepted = self._creates.pop(key)
            accounts.identify(session, key, user_id)
            changes.record_outcome(
                session, accepted.change, Outcome.APPLIED, http_status=HTTPStatus.OK, user_id=user_id
            )
        accepted.log.info("change_applied", http_status=HTTPStatus.OK.value, user_id=user_id)
        self._tally.count(Outcome.APPLIED, Action.CREATE)

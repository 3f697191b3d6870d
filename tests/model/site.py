"""syncd as it is installed at the college: a real store, a real client, a real OneFile, and one process at a time."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import text

from syncd.core.fields import Role
from syncd.core.run import Trigger
from syncd.core.scope import EVERYONE, Scope
from syncd.mis import Mis
from syncd.onefile import OneFile
from syncd.simulator import Simulator, Switches
from syncd.state import accounts
from syncd.state.db.lock import Purpose, locked
from syncd.state.rate_limit import StoredRateLimit
from syncd.sync.context import Feed, Policy, SyncContext
from syncd.sync.run import RunResult, run_once
from tests.support.databases import mis_engine
from tests.support.sessions import session_on

from .college import ASSESSOR, CLASSROOMS, FEEDS, LEARNER, PLACEMENT, ROLES, College, Who
from .mortality import Clocks, Life, Moment, MortalPacer, MortalStore
from .witness import Witness

ORGANISATION: Final = 5740

_SEED: Final[dict[str, Any]] = {
    "organisations": [{"ID": ORGANISATION, "Name": "Example"}],
    "classrooms": [{"ID": number, "OrganisationID": ORGANISATION, "Name": name} for name, number in CLASSROOMS.items()],
    "placements": [{"ID": PLACEMENT, "OrganisationID": ORGANISATION, "Name": "Default Placement"}],
}
_IN_DOUBT: Final = {"pending", "in_doubt", "accepted"}

FreshStore = Callable[[], str]
"""Gives the URL of a state store with nothing in it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the state store says, read as a person would with SQL."""

    ids: dict[Who, int | None]
    statuses: dict[Who, str]
    held: dict[Who, set[str]]
    in_doubt: set[Who]
    """Those of whom the newest change, or a create, has not come to a known end."""


class Site:
    """What the machine changes, runs and looks at."""

    def __init__(self, folder: Path, store_url: str, switches: Switches, policy: Policy) -> None:
        self.clocks = Clocks()
        self.college = College()
        self.policy = policy
        self._store_url = store_url
        self._mis_url = f"sqlite:///{folder / 'mis.db'}"
        self._mis = mis_engine(self._mis_url)
        self._stack = ExitStack()
        self._stack.callback(self._mis.dispose)
        self.onefile = self._stack.enter_context(Simulator(switches, _SEED, clock=self.clocks.timestamp))
        self.witness = Witness(self.onefile)
        self._process = ExitStack()
        self._start()

    def close(self) -> None:
        self._process.close()
        self._stack.close()

    def run(
        self,
        *,
        approved: bool = False,
        scope: Scope = EVERYONE,
        death: tuple[Moment, int] | None = None,
    ) -> RunResult:
        """One run, from lock to summary. Raises `Killed` if it comes to its ``death``; there is a new process then."""
        self.college.publish(self._mis)
        self.witness.begin()
        if death is not None:
            self.life.ends(*death)
        try:
            with locked(self.store, ORGANISATION, Purpose.WRITING):
                return run_once(self.context, Trigger.COMMAND, scope=scope, approved_by="a test" if approved else "")
        finally:
            self.life.goes_on()
            if self.life.is_over:
                self._process.close()
                self._start()

    def listed(self) -> Listed:
        with self.store.begin() as connection:
            known = accounts.known(session_on(connection, ORGANISATION))
            held = connection.execute(text("SELECT role, misid, reason FROM held WHERE NOT is_warning")).all()
            changes = connection.execute(text("SELECT role, misid, action, outcome FROM change ORDER BY id")).all()
        newest: dict[Who, str] = {}
        doubtful: set[Who] = set()
        for role, misid, action, outcome in changes:
            newest[_who(role, misid)] = outcome
            if action == "create" and outcome in _IN_DOUBT:
                doubtful.add(_who(role, misid))
        reasons: dict[Who, set[str]] = {}
        for role, misid, reason in held:
            reasons.setdefault(_who(role, misid), set()).add(reason)
        return Listed(
            {_who(key.role, key.misid): account.user_id for key, account in known.items()},
            {_who(key.role, key.misid): account.status for key, account in known.items()},
            reasons,
            doubtful | {who for who, outcome in newest.items() if outcome in _IN_DOUBT},
        )

    def _start(self) -> None:
        """A new process, with nothing in its memory."""
        self.life = Life(self.clocks)
        self._process = ExitStack()
        self.store = MortalStore(self._store_url, self.life)
        self._process.callback(self.store.close)
        rate_limiter = MortalPacer(StoredRateLimit(self.store, "token"), self.life, self.clocks)
        client = self._process.enter_context(
            OneFile(
                self.onefile.base_url, self.onefile.customer_token, rate_limiter, clock=self.clocks, timeout_seconds=5
            )
        )
        feeds = tuple(Feed(ROLES[role].lower(), Role(ROLES[role]), FEEDS[role]) for role in (ASSESSOR, LEARNER))
        self.context = SyncContext(
            ORGANISATION,
            Mis(self._mis_url),
            feeds,
            client,
            self.store,
            self.policy,
            structlog.get_logger(),
            self.clocks,
            # So few that even in a small college some rows are in a matched block.
            block_rows=2,
        )


def _who(role: str, misid: str) -> Who:
    return Who(next(number for number, name in ROLES.items() if name == role), misid)

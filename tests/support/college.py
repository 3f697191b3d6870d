"""One organisation in small: an MIS of one table, a simulated OneFile, a state store, and passes between them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina
import structlog
from sqlalchemy import text

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.records import Key
from syncd.core.run import Trigger
from syncd.mis import Mis
from syncd.onefile import OneFile, RateLimiter
from syncd.simulator import LimiterShape, Simulator, Switches
from syncd.simulator.models import User
from syncd.state import accounts, changes, held_records
from syncd.state.rate_limit import StoredRateLimit
from syncd.sync.context import Feed, Policy, SyncContext
from syncd.sync.run import RunResult, run_once
from tests.support.guard import NO_LIMITS, let_create
from tests.support.sessions import session_on
from tests.support.stores import open_store

from .clocks import Clock
from .databases import mis_engine
from .onefile import ORGANISATION, SEED

NO_VALUES: Mapping[str, Any] = {}

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, phone AS Telephone,
       classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID
FROM person
"""


class College:
    """What a test changes and looks at."""

    def __init__(self, context: SyncContext, simulator: Simulator, mis_url: str, clock: Clock) -> None:
        self.context = context
        self.onefile = simulator
        self.clock = clock
        self.mis_url = mis_url
        self._engine = mis_engine(mis_url)
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    "CREATE TABLE person (misid, forename, surname, email, phone,"
                    " classroom DEFAULT 'Business Admin L2', placement DEFAULT 18928, assessor DEFAULT 'A1')"
                )
            )

    def add_columns(self, *names: str) -> None:
        for name in names:
            self.execute(f"ALTER TABLE person ADD COLUMN {name}", {})

    def enrol(self, *misids: str, **columns: Any) -> None:
        for misid in misids:
            person = {
                "misid": misid,
                "forename": "Ann",
                "surname": f"Example-{misid}",
                "email": f"{misid}@students.example.org",
                "phone": None,
                **columns,
            }
            names = ", ".join(person)
            values = ", ".join(f":{name}" for name in person)
            self.execute(f"INSERT INTO person ({names}) VALUES ({values})", person)

    def correct(self, misid: str, **columns: Any) -> None:
        changes_ = ", ".join(f"{name} = :{name}" for name in columns)
        self.execute(f"UPDATE person SET {changes_} WHERE misid = :key", {**columns, "key": misid})

    def withdraw(self, *misids: str) -> None:
        for misid in misids:
            self.execute("DELETE FROM person WHERE misid = :misid", {"misid": misid})

    def execute(self, statement: str, values: Mapping[str, Any] = NO_VALUES) -> None:
        """Change the MIS by a statement."""
        with self._engine.begin() as connection:
            connection.execute(text(statement), dict(values))

    def run_large_update(self) -> int:
        """Change the surnames of three learners, L1 to L3; returns the run, whose undo the guard stops from now on."""
        learners = ("L1", "L2", "L3")
        self.enrol(*learners)
        self.run()
        for misid in learners:
            self.correct(misid, surname="Changed")
        number = self.run().run
        self.with_policy(limits=Limits(floor=1))
        return number

    def run(self, **options: Any) -> RunResult:
        return run_once(self.context, Trigger.COMMAND, **options)

    def pass_days(self, days: int) -> None:
        """Let days pass, each with a run at its end."""
        for _ in range(days):
            self.clock.go_on(days=1)
            self.run()

    def with_policy(self, **changes_: Any) -> None:
        self.context = replace(self.context, policy=replace(self.context.policy, **changes_))

    def with_feed(self, query: str, role: Role = Role.LEARNER) -> None:
        self.context = replace(self.context, feeds=(Feed("people", role, query),))

    def in_onefile(self, misid: str) -> list[User]:
        return [user for user in self.onefile.world.users_with_misid(misid) if user.role == 1]

    def known_id(self, misid: str, role: Role = Role.LEARNER) -> int | None:
        with self.context.store.begin() as connection:
            known = accounts.known(session_on(connection, ORGANISATION)).get(Key(ORGANISATION, role, misid))
        return known.user_id if known else None

    @property
    def held(self) -> dict[str, str]:
        store = self.context.store
        with store.begin() as connection:
            listed = held_records.listing(session_on(connection, ORGANISATION, cipher=store.cipher))
        return {row.misid: row.reason for row in listed}

    @property
    def warnings(self) -> dict[str, tuple[str, str]]:
        """The reason and the field of each warning, by MISID."""
        store = self.context.store
        with store.begin() as connection:
            listed = held_records.listing(session_on(connection, ORGANISATION, cipher=store.cipher), warnings=True)
        return {row.misid: (row.reason, row.field) for row in listed}

    def detail(self, misid: str) -> str:
        store = self.context.store
        with store.begin() as connection:
            listed = held_records.listing(session_on(connection, ORGANISATION, cipher=store.cipher))
        return next(row.detail for row in listed if row.misid == misid)

    @property
    def in_doubt(self) -> int:
        with self.context.store.begin() as connection:
            return changes.in_doubt(session_on(connection, ORGANISATION))

    def outcomes(self, misid: str) -> list[tuple[str, str]]:
        with self.context.store.begin() as connection:
            return [(row.action, row.outcome) for row in changes.history(session_on(connection, ORGANISATION), misid)]

    def writes(self) -> list[tuple[str, Any]]:
        """The writes since this was last asked."""
        writes = [(call.path, call.body) for call in self.onefile.journal.writes]
        self.onefile.journal.clear()
        return writes

    def close(self) -> None:
        self._engine.dispose()


Found = Callable[..., College]


@pytest.fixture(params=["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.slow)])
def state_url(request: pytest.FixtureRequest) -> str:
    """The state store: on every make of database in the gate, and elsewhere where a test asks for another."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def found(tmp_path: Path, state_url: str) -> Iterator[Found]:
    """Founds a college whose OneFile has these switches: one assessor, one class, one placement, nobody else."""
    with ExitStack() as stack:
        yield lambda **switches: stack.enter_context(founded(tmp_path, state_url, **switches))


@contextmanager
def founded(
    folder: Path,
    state_url: str,
    *,
    syncd_calls_per_minute: int = 600_000,
    quiet: tuple[tuple[time, time], ...] = (),
    is_new: bool = False,
    **switches: Any,
) -> Iterator[College]:
    """Such a college, with its MIS in a folder; syncd makes no call in its ``quiet`` windows.

    If it ``is_new`` to syncd, the first run that creates somebody waits for an approval.
    """
    clock = Clock()
    with ExitStack() as stack:
        simulator = stack.enter_context(
            Simulator(Switches(**{"limiter": LimiterShape.OFF, **switches}), SEED, clock=clock.timestamp)
        )
        store = open_store(state_url)
        if not is_new:
            with store.begin() as connection:
                for organisation_id in (ORGANISATION, ORGANISATION + 1):
                    let_create(session_on(connection, organisation_id))
        stack.callback(store.close)
        rate_limiter = RateLimiter(
            StoredRateLimit(store, "token"),
            syncd_calls_per_minute,
            clock=clock,
            sleep=clock.sleep,
            pause=clock.sleep,
            quiet=quiet,
        )
        client = stack.enter_context(
            OneFile(simulator.base_url, simulator.customer_token, rate_limiter, clock=clock, timeout_seconds=30)
        )
        mis_url = f"sqlite:///{folder / 'mis.db'}"
        context = SyncContext(
            ORGANISATION,
            Mis(mis_url),
            (Feed("learners", Role.LEARNER, _FEED),),
            client,
            store,
            # Tests of a search that is behind set this as it is in earnest.
            Policy(limits=NO_LIMITS, longest_search_lag=timedelta()),
            structlog.get_logger(),
            clock,
            lambda: clock.is_stopping,
        )
        college = College(context, simulator, mis_url, clock)
        stack.callback(college.close)
        yield college


@pytest.fixture(autouse=True)
def no_pauses_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield

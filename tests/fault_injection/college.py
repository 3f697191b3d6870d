"""A college whose runs are real processes: people to update and as many to create, as often as a test wants."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, text

from syncd.simulator import Fault, FaultKind, LimiterShape, Simulator, Switches
from syncd.state import accounts, approvals, changes, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import metadata
from tests.support.guard import HIGHEST_LIMITS
from tests.support.sessions import session_on

from .killing import AtCommit, said, start
from .watching import watch

_ORGANISATION: Final = 5740
_ASSESSOR: Final = 300_001
_LONGEST_RUN_SECONDS: Final = 60

_FEED: Final = """
SELECT misid AS MISID, 'Ann' AS FirstName, surname AS LastName, misid || '@students.example.org' AS Email,
       'Business Admin L2' AS ClassroomName, 18928 AS PlacementID, 'A1' AS DefaultAssessorMISID
FROM person
"""
_CONFIGURATION: Final = """
[onefile]
base_url = "{base_url}"
organisation_id = {organisation_id}
calls_per_minute = 1000000
settle_seconds = 0
[source]
url = "{mis}"
[state]
url = "{state}"
[schedule]
quiet = []
[guard]
{limits}
[[feeds]]
name = "learners"
role = "Learner"
query_file = "learners.sql"
"""


@dataclass(frozen=True, slots=True)
class AtRequest:
    """The request, counted from 1, that a syncd is killed at: before OneFile does what it asks for, or after."""

    number: int
    is_after: bool


class College:
    """People who have accounts and changed since, and as many who are new; as often as a test wants it."""

    def __init__(
        self,
        folder: Path,
        state: str,
        *,
        keychain: bool,
        people: int = 20,
        is_approved: bool = False,
        seats: int = 0,
    ) -> None:
        self.folder = folder
        self._old = tuple(f"L{number}" for number in range(people))
        self._new = tuple(f"N{number}" for number in range(people))
        self._state = state
        self._content: dict[str, list[dict[str, Any]]] = {}
        self.keychain = keychain
        self._is_approved = is_approved
        """Whether the guard lets nothing pass, and an operator has approved the plan."""
        self._limits: Mapping[str, int] = HIGHEST_LIMITS
        self._options: Sequence[str] = ("--approve",)
        self._switches = Switches(keychain=keychain, limiter=LimiterShape.OFF, seats=seats)
        (folder / "learners.sql").write_text(_FEED, encoding="utf-8")
        self._mis = f"sqlite:///{folder / 'mis.db'}"
        self.simulator: Simulator
        self._execute("CREATE TABLE person (misid, surname)")
        self._execute("INSERT INTO person VALUES (:misid, 'Example')", self._old)
        self._seed: list[dict[str, Any]] = [
            {"ID": _ASSESSOR, "OrganisationID": _ORGANISATION, "Role": 5, "MISID": "A1", "FirstName": "S"}
        ]

    def _execute(self, statement: str, misids: tuple[str, ...] = ()) -> None:
        engine = create_engine(self._mis)
        with engine.begin() as connection:
            connection.execute(text(statement), [{"misid": misid} for misid in misids] or None)
        engine.dispose()

    def prepare(self) -> None:
        """Run once with those who have accounts, and remember how things stand; then come the changes."""
        with self.opened():
            assert self.sync() == 0, said(self.folder)
            self._seed = self._users()
        self._remember()
        self._execute("UPDATE person SET surname = 'Changed'")
        self._execute("INSERT INTO person VALUES (:misid, 'New')", self._new)
        if self._is_approved:
            self._limits, self._options = {"floor": 0, "percent": 0}, ()
            with self.opened():
                assert self.sync() == 3, said(self.folder)
            with self._connected() as connection:
                approvals.approve(session_on(connection, _ORGANISATION, datetime.now(UTC)), None, "an operator")
            self._remember()

    def prepare_undo(self) -> None:
        """Make the changes as well, and remember how things stand."""
        self.prepare()
        with self.opened():
            assert self.sync() == 0, said(self.folder)
            self._seed = self._users()
        self._remember()

    def _users(self) -> list[dict[str, Any]]:
        return [
            {
                "ID": user.id,
                "OrganisationID": user.organisation_id,
                "Role": user.role,
                "Username": user.username,
                **user.values,
            }
            for user in self.simulator.world.users.values()
        ]

    def _remember(self) -> None:
        with self._connected() as connection:
            self._content = {
                table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
                for table in metadata.sorted_tables
            }

    @contextmanager
    def opened(self) -> Iterator[None]:
        """OneFile and the state store as they were when it was prepared."""
        if self._content:
            with self._connected() as connection:
                for table in reversed(metadata.sorted_tables):
                    connection.execute(table.delete())
                for table in metadata.sorted_tables:
                    if rows := self._content[table.name]:
                        connection.execute(table.insert(), rows)
        with Simulator(self._switches, {"users": self._seed}) as self.simulator:
            configuration = _CONFIGURATION.format(
                base_url=self.simulator.base_url,
                organisation_id=_ORGANISATION,
                mis=self._mis,
                state=self._state,
                limits="\n".join(f"{name} = {number}" for name, number in self._limits.items()),
            )
            (self.folder / "syncd.toml").write_text(configuration, encoding="utf-8")
            yield

    def add_seats(self) -> None:
        """Let OneFile create as many learners as are asked for."""
        self.simulator.world.switches = replace(self.simulator.world.switches, seats=0)

    def sync(
        self,
        at: AtRequest | AtCommit | None = None,
        meanwhile: Callable[[int], None] = lambda _request: None,
    ) -> int:
        """A run in a process of its own, perhaps killed; gives its exit code.

        It is approved beforehand, unless an operator has approved its plan.

        ``meanwhile`` is told of each request, by its number, before it is looked at.
        """
        return self._start(("sync", *self._options), at, meanwhile)

    def undo(self, at: AtRequest | AtCommit | None = None) -> int:
        """Undo the newest run in a process of its own, perhaps killed; gives its exit code."""
        with self._connected() as connection:
            newest = runs.last(session_on(connection, _ORGANISATION))
        assert newest is not None
        return self._start(("undo", str(newest.undone_run_id or newest.id), "--approve"), at)

    def _start(
        self,
        arguments: Sequence[str],
        at: AtRequest | AtCommit | None,
        meanwhile: Callable[[int], None] = lambda _request: None,
    ) -> int:
        environment = {
            "SYNCD_CONFIG": str(self.folder / "syncd.toml"),
            "SYNCD_ONEFILE__CUSTOMER_TOKEN": self.simulator.customer_token,
        }
        requests = 0
        process: ForkServerProcess | None = None

        def on_call(_method: str, _path: str) -> Fault | None:
            nonlocal requests
            requests += 1
            meanwhile(requests)
            if not isinstance(at, AtRequest) or requests != at.number:
                return None
            assert process is not None
            process.kill()
            return Fault(FaultKind.DROP_AFTER if at.is_after else FaultKind.DROP_BEFORE)

        watch(self.simulator, on_call)
        process = start(self.folder, environment, at if isinstance(at, AtCommit) else None, arguments=arguments)
        process.join(_LONGEST_RUN_SECONDS)
        self.requests = requests
        exit_code: int | None = process.exitcode
        assert exit_code is not None, "it hangs"
        process.close()
        return exit_code

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        store = Store(self._state, ValueCipher())
        with store.begin() as connection:
            yield connection
        store.close()

    @property
    def is_undone(self) -> bool:
        """Whether everyone has the old name and the new ones are archived; else nothing may be undone at all."""
        learners = [user for user in self.simulator.world.users.values() if user.role == 1]
        states = {(user.misid in self._new, user.values["LastName"], user.is_archived) for user in learners}
        assert states in (
            {(False, "Example", False), (True, "New", True)},
            {(False, "Changed", False), (True, "New", False)},
        )
        return (False, "Example", False) in states

    def assert_made_good(self, what: object) -> None:
        """One account each, none missing, all known, nothing in doubt, and what was to be changed is."""
        learners = [user for user in self.simulator.world.users.values() if user.role == 1]
        assert Counter(user.misid for user in learners) == Counter((*self._old, *self._new)), what
        assert Counter(user.values["LastName"] for user in learners) == {
            "Changed": len(self._old),
            "New": len(self._new),
        }, what
        with self._connected() as connection:
            known = accounts.known(session_on(connection, _ORGANISATION))
            assert changes.in_doubt(session_on(connection, _ORGANISATION)) == 0, what
        assert {key.misid: account.user_id for key, account in known.items()} == {
            user.misid: user.id for user in learners
        }, what

"""A college whose runs are real processes: twenty people to update and twenty to create, as often as a test wants."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, text

from syncd.simulator import Fault, FaultKind, LimiterShape, Simulator, Switches
from syncd.state import accounts, changes
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import metadata
from tests.support.sessions import session_on

from .killing import AtCommit, said, start
from .watching import watch

_ORGANISATION: Final = 5740
_ASSESSOR: Final = 300_001
_OLD: Final = tuple(f"L{number}" for number in range(20))
_NEW: Final = tuple(f"N{number}" for number in range(20))
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
floor = 1000
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
    """Twenty who have accounts and changed since, twenty who are new; as often as a test wants it."""

    def __init__(self, folder: Path, state: str, *, keychain: bool) -> None:
        self.folder = folder
        self._state = state
        self._content: dict[str, list[dict[str, Any]]] = {}
        self.keychain = keychain
        self._switches = Switches(keychain=keychain, limiter=LimiterShape.OFF)
        (folder / "learners.sql").write_text(_FEED, encoding="utf-8")
        self._mis = f"sqlite:///{folder / 'mis.db'}"
        self.simulator: Simulator
        self._execute("CREATE TABLE person (misid, surname)")
        self._execute("INSERT INTO person VALUES (:misid, 'Example')", _OLD)
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
            self._seed = [
                {
                    "ID": user.id,
                    "OrganisationID": user.organisation_id,
                    "Role": user.role,
                    "Username": user.username,
                    **user.values,
                }
                for user in self.simulator.world.users.values()
            ]
        with self._connected() as connection:
            self._content = {
                table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
                for table in metadata.sorted_tables
            }
        self._execute("UPDATE person SET surname = 'Changed'")
        self._execute("INSERT INTO person VALUES (:misid, 'New')", _NEW)

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
                base_url=self.simulator.base_url, organisation_id=_ORGANISATION, mis=self._mis, state=self._state
            )
            (self.folder / "syncd.toml").write_text(configuration, encoding="utf-8")
            yield

    def sync(
        self, at: AtRequest | AtCommit | None = None, meanwhile: Callable[[int], None] = lambda _request: None
    ) -> int:
        """A run in a process of its own, perhaps killed; gives its exit code.

        ``meanwhile`` is told of each request, by its number, before it is looked at.
        """
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
        process = start(self.folder, environment, at if isinstance(at, AtCommit) else None)
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

    def assert_made_good(self, what: object) -> None:
        """One account each, none missing, all known, nothing in doubt, and what was to be changed is."""
        learners = [user for user in self.simulator.world.users.values() if user.role == 1]
        assert Counter(user.misid for user in learners) == Counter((*_OLD, *_NEW)), what
        assert Counter(user.values["LastName"] for user in learners) == {"Changed": len(_OLD), "New": len(_NEW)}, what
        with self._connected() as connection:
            known = accounts.known(session_on(connection, _ORGANISATION))
            assert changes.in_doubt(session_on(connection, _ORGANISATION)) == 0, what
        assert {key.misid: account.user_id for key, account in known.items()} == {
            user.misid: user.id for user in learners
        }, what

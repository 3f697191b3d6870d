"""A small college: its MIS, a simulated OneFile, and the configuration of a daemon between them, all of it real."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2 import PasswordHasher
from sqlalchemy import create_engine, text

from syncd.simulator import LimiterShape, Simulator, Switches
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from tests.support.addresses import free_port, listens
from tests.support.polling import wait_until

PASSWORD = "correct horse battery"
LEARNERS = 58
#: The learner whom OneFile refuses: no name of its may be so long.
TOO_LONG = "L007"
_ORGANISATION = 5740
_PATIENCE_SECONDS = 60

_FEED = """
SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email,
       'Business Admin L2' AS ClassroomName, 18928 AS PlacementID, 'A1' AS DefaultAssessorMISID
FROM person ORDER BY misid
"""
_ASSESSOR = {
    "ID": 300_001,
    "OrganisationID": _ORGANISATION,
    "Role": 5,
    "MISID": "A1",
    "FirstName": "S",
    "LastName": "P",
}


class College:
    """The MIS, the simulated OneFile, and where the pages are."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.onefile = simulator
        self.folder = folder
        self._port = free_port()
        self._engine = create_engine(f"sqlite:///{folder / 'mis.db'}")
        self._execute("CREATE TABLE person (misid TEXT, forename TEXT, surname TEXT, email TEXT)")
        for number in range(1, LEARNERS + 1):
            misid = f"L{number:03}"
            surname = "Longest" * 10 if misid == TOO_LONG else f"Example-{number}"
            self._execute(
                "INSERT INTO person VALUES (:misid, 'Ann', :surname, :email)",
                misid=misid,
                surname=surname,
                email=f"{misid}@students.example.org",
            )
        self._configure()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def correct(self, misid: str, surname: str) -> None:
        self._execute("UPDATE person SET surname = :surname WHERE misid = :misid", misid=misid, surname=surname)

    def change_key(self, old: str, new: str) -> None:
        """The same person has another MISID in the MIS."""
        self._execute("UPDATE person SET misid = :new WHERE misid = :old", new=new, old=old)

    def ids_in_onefile(self, misid: str) -> list[int]:
        return [user.id for user in self.onefile.world.users_with_misid(misid) if user.role == 1]

    def surname_in_onefile(self, misid: str) -> str | None:
        users = [user for user in self.onefile.world.users_with_misid(misid) if user.role == 1]
        return str(users[0].values["LastName"]) if users else None

    def store(self) -> Store:
        return Store(f"sqlite:///{self.folder / 'syncd.db'}", ValueCipher())

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """The daemon, a process of its own, for as long as the block lasts."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
        environment = {**inherited, "SYNCD_ONEFILE__CUSTOMER_TOKEN": self.onefile.customer_token}
        with (self.folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "syncd", "run", "--config", str(self.folder / "syncd.toml")]
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stderr=log, stdin=subprocess.DEVNULL)
            try:
                wait_until(
                    lambda: self._listens(process) and '"run_stopped"' in self.log, "the first run to be stopped"
                )
                yield
                process.terminate()
                assert process.wait(_PATIENCE_SECONDS) == 0
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        assert "Traceback" not in self.log

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def _listens(self, process: "subprocess.Popen[bytes]") -> bool:
        assert process.poll() is None, self.log
        return listens(f"127.0.0.1:{self._port}")

    def _configure(self) -> None:
        tables: dict[str, dict[str, object]] = {
            "onefile": {
                "base_url": self.onefile.base_url,
                "organisation_id": _ORGANISATION,
                # So slow that a run can be watched, and so fast that nobody has to wait for it.
                "calls_per_minute": 600,
            },
            "source": {"url": "sqlite:///mis.db"},
            "state": {"url": "sqlite:///syncd.db"},
            "schedule": {"poll": "1h"},
            "admin": {"listen": f"127.0.0.1:{self._port}", "password_hash": PasswordHasher().hash(PASSWORD)},
            "log": {"format": "json"},
        }
        lines = [
            f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
            for name, table in tables.items()
        ]
        feed = f'[[feeds]]\nname = "learners"\nrole = "Learner"\nquery = """{_FEED}"""'
        (self.folder / "syncd.toml").write_text("\n".join((*lines, feed)), encoding="utf-8")

    def _execute(self, statement: str, **values: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def founded(folder: Path) -> Iterator[College]:
    """A college with OneFile, and no daemon yet."""
    switches = Switches(limiter=LimiterShape.OFF, strict=True)
    with Simulator(switches, {"users": [_ASSESSOR]}) as simulator:
        college = College(folder, simulator)
        try:
            yield college
        finally:
            college.close()

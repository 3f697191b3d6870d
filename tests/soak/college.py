"""A college that is never at rest: an MIS in which somebody edits all the time, and a OneFile that often goes wrong."""

import random
import threading
from collections import Counter
from typing import Any, Final

from sqlalchemy import Engine, text

from syncd.simulator import Fault, FaultKind, Faults, Simulator
from syncd.simulator.faults import NOTICEABLE, Trouble

ORGANISATION: Final = 5740
ASSESSOR: Final = 300_001
SEED: Final[dict[str, list[dict[str, Any]]]] = {
    "users": [
        {"ID": ASSESSOR, "OrganisationID": ORGANISATION, "Role": 5, "MISID": "A1", "FirstName": "S", "LastName": "P"}
    ]
}
FEED: Final = """
SELECT misid AS MISID, 'Ann' AS FirstName, surname AS LastName, misid || '@students.example.org' AS Email,
       phone AS Telephone, 'Business Admin L2' AS ClassroomName, 18928 AS PlacementID, 'A1' AS DefaultAssessorMISID
FROM person WHERE is_here
"""
_FEWEST, _MOST = 100, 200
_BETWEEN_EDITS_SECONDS: Final = 0.02


class BusyMis:
    """An MIS with a hundred people and more, of whom one is edited, enrolled, withdrawn or brought back at a time."""

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self._engine = engine
        self._rng = rng
        self._number = 0
        self.edits: Counter[str] = Counter()
        with engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE person (misid TEXT PRIMARY KEY, surname TEXT, phone TEXT, is_here BOOLEAN)")
            )
        self._here: list[str] = []
        self._gone: list[str] = []
        for _ in range(_FEWEST):
            self._enrol()

    def edit_until(self, is_over: threading.Event) -> None:
        """Edit somebody again and again."""
        while not is_over.wait(_BETWEEN_EDITS_SECONDS):
            self.edit()

    def edit(self) -> None:
        """Edit somebody."""
        chance = self._rng.random()
        if len(self._here) < _FEWEST or (chance < 0.04 and len(self._here) < _MOST):
            self._enrol()
        elif chance < 0.08:
            self._move(self._here, self._gone, is_here=False)
        elif chance < 0.12 and self._gone:
            self._move(self._gone, self._here, is_here=True)
        else:
            misid = self._rng.choice(self._here)
            column = self._rng.choice(["surname", "phone"])
            self._execute(f"UPDATE person SET {column} = :value WHERE misid = :misid", misid, f"01224 {self._next()}")
            self.edits["correct"] += 1

    def people(self) -> dict[str, tuple[str, str]]:
        """Surname and telephone of everybody who is here, by MISID."""
        with self._engine.begin() as connection:
            rows = connection.execute(text("SELECT misid, surname, phone FROM person WHERE is_here"))
            return {row.misid: (row.surname, row.phone) for row in rows}

    def _enrol(self) -> None:
        misid = f"L{self._next()}"
        self._execute("INSERT INTO person VALUES (:misid, :value, '01224 0', TRUE)", misid, f"Example-{misid}")
        self._here.append(misid)
        self.edits["enrol"] += 1

    def _move(self, from_: list[str], to: list[str], *, is_here: bool) -> None:
        misid = from_.pop(self._rng.randrange(len(from_)))
        self._execute(
            "UPDATE person SET is_here = (:value = 'yes') WHERE misid = :misid", misid, "yes" if is_here else "no"
        )
        to.append(misid)
        self.edits["return" if is_here else "withdraw"] += 1

    def _execute(self, statement: str, misid: str, value: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), {"misid": misid, "value": value})

    def _next(self) -> int:
        self._number += 1
        return self._number


class Chance(Faults):
    """Every kind of fault there is, each as likely as the others; those that mean a wait mean a short one."""

    def __init__(self, rate: float, rng: random.Random) -> None:
        super().__init__(lambda: 0.0)
        self.rate = rate
        self._rng = rng
        self._one_at_a_time = threading.Lock()
        self.met: Counter[str] = Counter()

    def meet(self, _method: str, _path: str) -> Trouble:
        with self._one_at_a_time:
            if self._rng.random() >= self.rate:
                self.met["none"] += 1
                return Trouble()
            kind = self._rng.choice(NOTICEABLE)
            self.met[kind] += 1
        if kind is FaultKind.LATENCY:
            return Trouble(latency_seconds=0.5)
        return Trouble(fault=Fault(kind, retry_after_seconds=1 if kind is FaultKind.THROTTLE else None))


def let_it_fail(simulator: Simulator, chance: Chance) -> None:
    """Have every call meet its chance."""
    simulator.faults = chance


def accounts(simulator: Simulator) -> tuple[Counter[str], dict[str, tuple[str, str]]]:
    """How many accounts each MISID has, and surname and telephone of those that are not archived."""
    learners = [user for user in list(simulator.world.users.values()) if user.role == 1]
    return Counter(str(user.misid) for user in learners), {
        str(user.misid): (user.values["LastName"], user.values["Telephone"])
        for user in learners
        if not user.is_archived
    }

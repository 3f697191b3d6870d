"""An organisation of generated people: its MIS, a simulated OneFile, and a syncd that is run by its commands."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from syncd.core.fields import Role
from syncd.simulator import LimiterShape, Simulator, Switches
from syncd.simulator.journal import Call
from tests.support.command import UNHURRIED, Finished, Syncd
from tests.support.databases import mis_engine
from tests.support.onefile import ORGANISATION

from .accounts import AccountHistory
from .mis import KeyedBy, Mis, feed
from .population import Population, Shares

_ACTIVE: Final = "active"


class Site:
    """What a test changes, runs and looks at."""

    def __init__(self, population: Population, mis: Mis, onefile: Simulator, syncd: Syncd) -> None:
        self.population = population
        self.mis = mis
        self.onefile = onefile
        self.syncd = syncd
        self.accounts = AccountHistory(onefile.world, mis, population.people)

    def run(self, *command: str) -> Finished:
        """Run a command while the MIS shows what its people have come to."""
        self.mis.publish()
        return self.syncd(*command)

    def calls_of(self, *command: str) -> tuple[Finished, list[Call]]:
        """The same, and the calls that it made, without those that ask how large a page may be (U1)."""
        before = len(self.onefile.journal)
        done = self.run(*command)
        calls = self.onefile.journal.calls[before:]
        return done, [call for call in calls if not (call.is_search and call.status == HTTPStatus.BAD_REQUEST)]

    @property
    def held(self) -> dict[tuple[Role, str], str]:
        """The reasons for which records are held, by role and MISID."""
        return {(Role(row["role"]), row["misid"]): row["reason"] for row in self.syncd("held", "--json").json}

    @property
    def leavers(self) -> set[int]:
        """The UserIDs of the accounts that syncd knows as leavers', archived or not."""
        listed = self.syncd("accounts", "--json").json
        return {account["user_id"] for account in listed if account["status"] != _ACTIVE}

    def check(self) -> None:
        """Fail unless no person has two accounts and no account has two people's data."""
        self.mis.publish()
        self.accounts.check(self.leavers)

    def write_csv(self, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
        """Write a file beside the configuration, as an operator's spreadsheet does; returns its name."""
        rows = list(rows)
        with (self.syncd.folder / name).open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        return name

    def read_csv(self, name: str) -> list[dict[str, str]]:
        """The rows of a file that a command has written."""
        with (self.syncd.folder / name).open(encoding="utf-8-sig", newline="") as lines:
            return list(csv.DictReader(lines))


@contextmanager
def open_site(
    folder: Path,
    *,
    seed: int,
    shares: Shares | None = None,
    keyed_by: KeyedBy = KeyedBy.ENROLMENT,
    person_key: bool = False,
    switches: Switches | None = None,
) -> Iterator[Site]:
    """An organisation in a folder: nobody is in its MIS or in its OneFile, which has one class and one placement.

    The MIS and the state are SQLite. OneFile's limit of calls is lifted, unless ``switches`` say otherwise.
    """
    engine = mis_engine(f"sqlite:///{folder / 'mis.db'}")
    try:
        with Simulator(switches or Switches(limiter=LimiterShape.OFF)) as onefile:
            syncd = Syncd(
                folder / "syncd",
                onefile.customer_token,
                {
                    "onefile": {
                        "base_url": onefile.base_url,
                        "organisation_id": ORGANISATION,
                        "calls_per_minute": UNHURRIED,
                    },
                    "source": {"url": engine.url.render_as_string()},
                    "schedule": {"quiet": []},
                    "admin": {"listen": ""},
                },
                feed(Role.LEARNER, person_key=person_key),
            )
            # Thousands of people take minutes on a busy machine.
            syncd.longest_seconds = 900
            syncd.add_feed("tutors", Role.ASSESSOR, feed(Role.ASSESSOR))
            yield Site(Population(seed, shares), Mis(engine, keyed_by), onefile, syncd)
    finally:
        engine.dispose()

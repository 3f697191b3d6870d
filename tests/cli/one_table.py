"""A college whose MIS is one table of people, in the folder where commands are run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from sqlalchemy import text

from syncd.simulator import Simulator, Switches
from syncd.simulator.switches import LimiterShape
from tests.support.databases import mis_engine
from tests.support.onefile import ORGANISATION, SEED


class OneTableCollege:
    """Its MIS and its OneFile; a subclass says which columns the table and the feed have."""

    COLUMNS: ClassVar[str]
    """The columns of the table ``person``."""
    FIELDS: ClassVar[str]
    """What the feed selects of a person's own values."""

    def __init__(self, folder: Path, onefile: Simulator) -> None:
        self.folder = folder
        self.onefile = onefile
        self.state = f"sqlite:///{folder / 'syncd.db'}"
        self._engine = mis_engine(f"sqlite:///{folder / 'mis.db'}")
        self.execute(f"CREATE TABLE person ({self.COLUMNS})")
        self.configure()

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, monkeypatch: pytest.MonkeyPatch, **switches: Any) -> Iterator[Self]:
        """A college without people, in whose folder commands are run from now on; switches of its simulator."""
        monkeypatch.chdir(folder)
        monkeypatch.delenv("SYNCD_CONFIG", raising=False)
        with Simulator(seed=SEED, switches=Switches(limiter=LimiterShape.OFF, **switches)) as onefile:
            monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", onefile.customer_token)
            college = cls(folder, onefile)
            yield college
            college._engine.dispose()

    def configure(self, organisations: Sequence[int] = ()) -> None:
        """Write the configuration."""
        more = f"organisations = {list(organisations)}\n" if organisations else ""
        feed = (
            f"SELECT {self.FIELDS}, 'Business Admin L2' AS ClassroomName, 18928 AS PlacementID, "
            "'A1' AS DefaultAssessorMISID FROM person ORDER BY misid"
        )
        (self.folder / "syncd.toml").write_text(
            f'[onefile]\nbase_url = "{self.onefile.base_url}"\norganisation_id = {ORGANISATION}\n{more}'
            "calls_per_minute = 60000\n"
            '[source]\nurl = "sqlite:///mis.db"\n[state]\nurl = "sqlite:///syncd.db"\n[log]\nformat = "json"\n'
            f'[[feeds]]\nname = "learners"\nrole = "Learner"\nquery = """{feed}"""\n',
            encoding="utf-8",
        )

    def execute(self, statement: str, **values: Any) -> None:
        """Change the MIS."""
        with self._engine.begin() as connection:
            connection.execute(text(statement), values)

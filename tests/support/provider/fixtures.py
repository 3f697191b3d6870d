"""A college: its return, its MIS, its OneFile, and a syncd between the two."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.simulator import Switches
from syncd.simulator.switches import LimiterShape
from tests.support.command import UNHURRIED, Syncd
from tests.support.databases import mis_engine

from .generator import made_up_learners, write_return
from .ilr import Learner, read_return, real_return
from .mis import FEED, College, Mis
from .onefile import OneFile, onefile_of

_SOURCES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.slow),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]
#: Where the state store may be.
STATES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
_URL_FIXTURES = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}


@pytest.fixture
def learners(request: pytest.FixtureRequest, tmp_path: Path) -> list[Learner]:
    """The learners of a small return, or of the real one where a test asks for it."""
    if getattr(request, "param", None) == "the real return":
        return real_return()
    file = tmp_path / "return.xml"
    write_return(file, made_up_learners())
    return list(read_return(file))


@pytest.fixture(params=_SOURCES)
def mis(request: pytest.FixtureRequest, learners: list[Learner]) -> Iterator[Mis]:
    """A MIS that holds the learners, on each make of database."""
    engine = mis_engine(request.getfixturevalue(_URL_FIXTURES[request.param]))
    try:
        mis = Mis(engine, College())
        mis.enrol(learners)
        yield mis
    finally:
        engine.dispose()


@pytest.fixture
def onefile(request: pytest.FixtureRequest) -> Iterator[OneFile]:
    """A OneFile that has the college's staff, classes and placements, and no learner."""
    keychain = getattr(request, "param", None) == "with Keychain"
    with onefile_of(College(), Switches(keychain=keychain, limiter=LimiterShape.OFF)) as onefile:
        yield onefile


@pytest.fixture
def state(request: pytest.FixtureRequest) -> str:
    """The URL of the state store: SQLite, unless a test asks for PostgreSQL."""
    if getattr(request, "param", None) == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return "sqlite:///state.db"


@pytest.fixture
def syncd(tmp_path: Path, mis: Mis, onefile: OneFile, state: str) -> Syncd:
    """A syncd configured for all of that."""
    return Syncd(
        tmp_path / "syncd",
        onefile.customer_token,
        {
            "onefile": {
                "base_url": onefile.base_url,
                "organisation_id": onefile.organisation_id,
                "calls_per_minute": UNHURRIED,
            },
            "source": {"url": mis.url},
            "state": {"url": state},
            "schedule": {"poll": "1s", "quiet": []},
            "admin": {"listen": ""},
        },
        FEED,
    )

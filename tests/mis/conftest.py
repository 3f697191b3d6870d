"""Every make of database that can run here: the tests of this folder that ask for a ``url`` see each of them."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

MAKES = [
    pytest.param("sqlite_url", id="sqlite"),
    pytest.param("postgres_url", id="postgresql"),
    pytest.param("mariadb_url", marks=pytest.mark.mariadb, id="mariadb"),
]


@pytest.fixture(params=MAKES)
def url(request: pytest.FixtureRequest) -> str:
    """A database of the test's own, of each make."""
    made: str = request.getfixturevalue(request.param)
    if made.startswith("sqlite"):
        Path(make_url(made).database or "").touch()
    return made


@pytest.fixture
def make(url: str) -> str:
    """The make of that database, as the tests call it."""
    return {"mysql": "mariadb"}.get(name := make_url(url).get_backend_name(), name)

"""A state store on each make of database it may be kept in."""

from collections.abc import Iterator

import pytest

from syncd.state.db.store import Store
from tests.support.stores import open_store


@pytest.fixture(params=["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store of the test's own, its schema current."""
    store = open_store(request.getfixturevalue(request.param))
    yield store
    store.close()

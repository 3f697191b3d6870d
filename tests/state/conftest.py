"""A state store on each make of database it may be kept in."""

from collections.abc import Iterator

import pytest

from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store of the test's own, its schema current."""
    store = Store(request.getfixturevalue(request.param), ValueCipher())
    store.upgrade()
    yield store
    store.close()

"""A state store for those who ask."""

from collections.abc import Iterator

import pytest

from syncd.state.db.store import Store
from tests.support.stores import open_store


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    store = open_store(sqlite_url)
    yield store
    store.close()

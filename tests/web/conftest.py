"""A state store for those who ask."""

from collections.abc import Iterator

import pytest

from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    store = Store(sqlite_url, ValueCipher())
    store.upgrade()
    yield store
    store.close()

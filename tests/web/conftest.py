"""A state store for those who ask."""

from collections.abc import Iterator

import pytest

from syncd.state.store import Store
from syncd.state.vault import Vault


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    store = Store(sqlite_url, Vault())
    store.upgrade()
    yield store
    store.close()

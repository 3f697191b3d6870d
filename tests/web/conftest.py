"""A state store for those who ask."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from syncd.state.db.store import Store
from tests.support.stores import open_store

#: The tests in a browser are run by the gate only, and what they import is not in README's environment.
collect_ignore = [] if find_spec("selenium") else ["browser"]


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    store = open_store(sqlite_url)
    yield store
    store.close()

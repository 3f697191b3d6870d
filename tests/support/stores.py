"""State stores with a current schema: to make one takes longer than all else in most tests, so most are copies."""

import tempfile
from functools import cache
from pathlib import Path

from syncd.state.db import files
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store


def open_store(url: str) -> Store:
    """The store at a URL, its schema current; a new SQLite file is a copy of what the migrations make."""
    store = Store(url, ValueCipher())
    if store.file and not store.file.exists():
        files.create(store.file)
        store.file.write_bytes(_empty())
    store.upgrade()
    return store


@cache
def _empty() -> bytes:
    """A SQLite file, as the migrations leave it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "empty.db")
        store = Store(f"sqlite:///{file}", ValueCipher())
        store.upgrade()
        # The last connection that closes writes everything into the file.
        store.close()
        return file.read_bytes()

"""First passwords leave the store with their transaction, or not at all."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from syncd.cli.credentials import write_passwords
from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.errors import ConfigurationError
from syncd.state import credentials
from syncd.state.credentials import FirstPassword
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from tests.support.sessions import session_on

_NOW = datetime(2026, 1, 15, tzinfo=UTC)
_VAULT = ValueCipher(Fernet.generate_key().decode())


@pytest.fixture
def two(store: Store) -> Store:
    """A store that keeps a first password for each of two organisations."""
    with store.begin() as connection:
        for number in (1, 2):
            key = Key(number, Role.LEARNER, f"L{number}")
            assert credentials.save(
                session_on(connection, at=_NOW, cipher=_VAULT), key, number, f"user{number}", f"secret{number}"
            )
    return store


def _take(store: Store, organisation_id: int) -> list[FirstPassword]:
    with store.begin() as connection:
        return credentials.take(session_on(connection, organisation_id, cipher=_VAULT))


def test_an_organisation_takes_its_own_once(two: Store) -> None:
    assert _take(two, 1) == [FirstPassword(1, "Learner", "L1", 1, "user1", "secret1")]
    assert _take(two, 1) == []
    assert [one.misid for one in _take(two, 2)] == ["L2"]


def test_what_is_taken_in_a_transaction_that_fails_is_still_there(two: Store) -> None:
    def take_and_fail() -> None:
        with two.begin() as connection:
            assert credentials.take(session_on(connection, 1, cipher=_VAULT))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        take_and_fail()
    assert len(_take(two, 1)) == 1


def test_no_repr_shows_a_password(two: Store) -> None:
    assert "secret" not in repr(_take(two, 1))


def test_a_file_that_the_disk_has_no_room_for_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_passwords(tmp_path / "passwords.csv", [FirstPassword(1, "Learner", "L1", 1, "user1", "secret1")])
    assert not list(tmp_path.iterdir())

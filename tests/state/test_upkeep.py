"""A store that can be trusted: checked, copied while in use, sealed anew, and never opened with the wrong key."""

import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

from syncd.core.assignments import Pair, StoredAssignment
from syncd.core.fields import Role
from syncd.core.records import Held, Key, Reason
from syncd.core.run import Action, Outcome, Trigger
from syncd.errors import StateUnusable
from syncd.operations.doctor import State, of_store
from syncd.state import accounts, assignments, changes, held_records, runs
from syncd.state.db import maintenance
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import plan_step
from tests.support.sessions import session_on

_NOW = datetime(2026, 1, 15, tzinfo=UTC)
_OLD, _NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


With = Callable[[str], Store]


@pytest.fixture
def opened(store: Store) -> Iterator[With]:
    """Opens the same store with these keys."""
    with ExitStack() as stack:

        def open_with(keys: str) -> Store:
            again = Store(store.url.render_as_string(hide_password=False), ValueCipher(keys))
            stack.callback(again.close)
            return again

        yield open_with


@pytest.fixture
def sealed(opened: With) -> Store:
    """A store with people in it, sealed with a key."""
    store = opened(_OLD)
    _keep(store, "L1", 1)
    _keep(store, "L2", 2)
    return store


def _keep(store: Store, misid: str, user_id: int) -> None:
    with store.begin() as connection:
        accounts.save(
            session_on(connection, at=_NOW, cipher=store.cipher),
            Key(5740, Role.LEARNER, misid),
            user_id=user_id,
            feed="learners",
            accepted={"LastName": "Zz-Surname"},
            fingerprint="f",
        )


def _at_rest(store: Store) -> str:
    with store.begin() as connection:
        return " ".join(connection.scalars(text('SELECT "values" FROM account')))


def test_a_sound_store_has_no_defects(sealed: Store) -> None:
    assert list(maintenance.defects(sealed)) == []


def test_texts_of_onefile_are_encrypted_checked_and_encrypted_again(opened: With, sealed: Store) -> None:
    key = Key(5740, Role.LEARNER, "L1")
    pair = Pair(key, Key(5740, Role.EMPLOYER, "E1"))
    held = Held(*key, "learners", Reason.REFUSED, "", "Zz-Detail")
    with sealed.begin() as connection:
        session = session_on(connection, 5740, _NOW, cipher=sealed.cipher)
        run = runs.start(session, Trigger.COMMAND)
        change = changes.record_intent(session, run, key, Action.UPDATE, {}, user_id=1, feed="", fingerprint="")
        changes.record_outcome(session, change, Outcome.REFUSED, message="Zz-Message")
        held_records.hold(session, held)
        assignments.save(session, pair, StoredAssignment(1, 2, "Zz-Refusal"))
        at_rest = " ".join(
            value
            for table in ("change", "held", "assignment")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
            for value in map(str, row)
        )
    assert "Zz-" not in at_rest
    assert {"change.message", "held.detail", "assignment.refusal"} <= set(
        " ".join(maintenance.defects(opened(_NEW))).split()
    )

    maintenance.reencrypt(opened(f"{_NEW},{_OLD}"))

    store = opened(_NEW)
    assert list(maintenance.defects(store)) == []
    with store.begin() as connection:
        session = session_on(connection, 5740, _NOW, cipher=store.cipher)
        assert [each.message for each in changes.history(session, "L1")] == ["Zz-Message"]
        assert [each.detail for each in held_records.listing(session)] == ["Zz-Detail"]
        assert assignments.stored(session) == {pair: StoredAssignment(1, 2, "Zz-Refusal")}
        # It is the same entry, however it is encrypted.
        (before,) = connection.execute(text("SELECT detail, first_seen_at FROM held")).all()
        held_records.replace(session, [held], [])
        assert connection.execute(text("SELECT detail, first_seen_at FROM held")).all() == [before]


def test_plans_are_readable_after_the_old_key_is_put_away(opened: With, sealed: Store) -> None:
    with sealed.begin() as connection:
        connection.execute(
            plan_step.insert(),
            [
                {
                    **dict.fromkeys(("kind", "role", "misid", "other", "fields", "digest", "decision"), ""),
                    "run_id": run,
                    "position": position,
                    "stage": 0,
                    "detail": sealed.cipher.encrypt({}),
                }
                for run in (runs.start(session_on(connection, 5740, _NOW), Trigger.COMMAND) for _ in range(3))
                for position in range(400)
            ],
        )

    assert maintenance.reencrypt(opened(f"{_NEW},{_OLD}")) == 1202

    assert list(maintenance.defects(opened(_NEW))) == []


def test_values_that_no_key_opens_are_a_defect(opened: With, sealed: Store) -> None:
    assert "2 values in account.values" in " ".join(maintenance.defects(opened(_NEW)))


def test_two_misids_on_one_userid_are_a_defect(sealed: Store) -> None:
    _keep(sealed, "L3", 2)
    (defect,) = maintenance.defects(sealed)
    assert "2 MISIDs" in defect
    assert "UserID 2" in defect


@pytest.mark.parametrize("keys", ["", _NEW], ids=["missing", "wrong"])
def test_a_missing_or_wrong_key_is_said_at_once(opened: With, sealed: Store, keys: str) -> None:
    with pytest.raises(StateUnusable, match="SYNCD_STATE__ENCRYPTION_KEY"):
        maintenance.check_key(opened(keys))
    maintenance.check_key(opened(f"{_NEW},{_OLD}"))


def test_a_key_can_be_changed_and_the_old_one_put_away(opened: With, sealed: Store) -> None:
    assert maintenance.reencrypt(opened(f"{_NEW},{_OLD}")) == 2
    maintenance.check_key(opened(_NEW))
    with pytest.raises(StateUnusable):
        maintenance.check_key(opened(_OLD))


def test_doctor_counts_values_that_the_key_does_not_decrypt(opened: With, sealed: Store) -> None:
    # The newest value has the new key, so that a run starts.
    _keep(opened(_NEW), "L3", 3)
    maintenance.check_key(opened(_NEW))
    outcome = of_store(opened(_NEW), upgrades_itself=True)
    assert outcome.state is State.FAILED
    assert outcome.found.endswith(" has 2 values that the configured key does not decrypt")
    assert "SYNCD_STATE__ENCRYPTION_KEY=NEW,OLD, then run 'syncd db reseal'" in outcome.advice

    maintenance.reencrypt(opened(f"{_NEW},{_OLD}"))

    assert of_store(opened(_NEW), upgrades_itself=True).state is State.OK
    assert maintenance.count_unreadable(sealed) == 3


def test_what_was_kept_in_the_open_is_encrypted_once_there_is_a_key(opened: With, store: Store) -> None:
    _keep(store, "L1", 1)
    assert "Zz-Surname" in _at_rest(store)
    maintenance.reencrypt(opened(_NEW))
    assert "Zz-Surname" not in _at_rest(store)


def test_a_backup_is_whole_and_for_its_owner_only(
    sealed: Store, tmp_path: Path, postgres_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pg_dump must not be older than its server.
    monkeypatch.setenv("PATH", f"{postgres_programs}{os.pathsep}{os.environ['PATH']}")
    file = tmp_path / "copy"
    maintenance.backup(sealed, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if sealed.file:
        copy = Store(f"sqlite:///{file}", ValueCipher(_OLD))
        assert list(maintenance.defects(copy)) == []
        assert _at_rest(copy) == _at_rest(sealed)
        copy.close()
    else:
        before = _at_rest(sealed)
        with sealed.begin() as connection:
            connection.execute(text("DELETE FROM account"))
        _restore(sealed, file)
        assert _at_rest(sealed) == before
    with pytest.raises(StateUnusable, match="already"):
        maintenance.backup(sealed, file)
    assert file.stat().st_size


def _restore(store: Store, file: Path) -> None:
    """As 'syncd db backup' says, with nobody connected."""
    store.close()
    subprocess.run(["sh", "-c", maintenance.restore_command(store, file)], check=True)


@pytest.mark.parametrize(
    ("url", "dbname"),
    [
        ("postgresql+psycopg://syncd@db/syncd", "dbname=syncd user=syncd host=db"),
        ("postgresql://syncd:secret@db:5433/syncd", "dbname=syncd user=syncd host=db port=5433"),
        ("postgresql+psycopg://syncd@/syncd?host=/run/pg", "dbname=syncd user=syncd host=/run/pg"),
        ("postgresql+psycopg://syncd@/syncd?host=a:1&host=b:2", "dbname=syncd user=syncd host=a,b port=1,2"),
        ("postgresql+psycopg://u@db/the%20one?sslmode=require", "dbname='the one' user=u host=db sslmode=require"),
        ("postgresql+psycopg://u@db/one?prepare_threshold=0", "dbname=one user=u host=db"),
    ],
)
def test_restore_command_has_what_postgresqls_programs_take(url: str, dbname: str) -> None:
    command = shlex.split(maintenance.restore_command(Store(url, ValueCipher()), Path("a copy")))
    assert command == ["pg_restore", "--clean", "--if-exists", "--dbname", command[4], "a copy"]
    assert conninfo_to_dict(command[4]) == conninfo_to_dict(dbname)


def test_store_in_a_file_needs_no_command_to_restore_it(sqlite_url: str) -> None:
    assert maintenance.restore_command(Store(sqlite_url, ValueCipher()), Path("copy")) == ""


def test_a_backup_that_cannot_be_written_is_a_sentence(sealed: Store, tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="cannot be written"):
        maintenance.backup(sealed, tmp_path / "no such folder" / "copy")

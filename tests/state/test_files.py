"""Root and a service on one store: whose its files are, and what each is told about a file that it cannot write to."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from syncd.errors import StateUnreachable, StateUnusable
from syncd.operations.doctor import Check, State, of_store
from syncd.state.db import files, maintenance
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can be told apart from a service"
)

_SERVICE = 61_234
_CHECK = "store.check_writable()"
_WRITE = "with store.begin() as connection: connection.exec_driver_sql('CREATE TABLE another (x)')"
_LOCK = "locked(store, 5740, Purpose.WRITING).__enter__()"
#: Loads everything while it is root, and becomes the service then, which may not read our Python.
_AS_SERVICE = """
import os, sys
from syncd.errors import SyncdError
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from syncd.state.db.encryption import ValueCipher
Store("sqlite://", ValueCipher()).upgrade()
os.setgroups([])
os.setresgid({uid}, {uid}, {uid})
os.setresuid({uid}, {uid}, {uid})
for work in sys.argv[2:]:
    store = Store(sys.argv[1], ValueCipher())
    try:
        exec(work)
    except SyncdError as problem:
        print(type(problem).__name__, problem)
    else:
        print("done")
    store.close()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of a service's state, where that service may get to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        state = folder / "state"
        state.mkdir(mode=0o700)
        os.chown(state, _SERVICE, _SERVICE)
        yield state


def _store(folder: Path) -> Store:
    return Store(f"sqlite:///{folder / 'syncd.db'}", ValueCipher())


def _as_service(store: Store, *works: str, uid: int = _SERVICE) -> list[str]:
    """What becomes of each when the service, or another user, does it."""
    script = _AS_SERVICE.format(uid=uid)
    url = store.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", script, url, *works], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _owners(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_uid for file in folder.iterdir()}


def test_what_root_creates_beside_a_service_belongs_to_the_service(folder: Path) -> None:
    store = _store(folder)
    store.upgrade()
    with locked(store, 5740, Purpose.WRITING), store.begin() as connection:
        connection.execute(text("CREATE TABLE more (x)"))
        owners = _owners(folder)
    maintenance.backup(store, folder / "copy.db")
    store.close()
    assert owners.keys() == {"syncd.db", "syncd.db-wal", "syncd.db-shm", "syncd.db.5740.writing.lock"}
    assert set(_owners(folder).values()) | set(owners.values()) == {_SERVICE}
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert _as_service(store, _CHECK, _LOCK, _WRITE) == ["done"] * 3


def test_in_a_folder_of_roots_own_everything_stays_roots(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.upgrade()
    store.close()
    assert set(_owners(tmp_path).values()) == {0}


@pytest.mark.parametrize(
    ("name", "work"),
    [("syncd.db", _WRITE), ("syncd.db-wal", _WRITE), ("syncd.db.5740.writing.lock", _LOCK)],
)
@pytest.mark.parametrize("mode", [0o600, pytest.param(0o644, marks=pytest.mark.slow)])
def test_a_file_of_roots_is_refused_by_name_and_the_remedy_mends_it(
    folder: Path, name: str, work: str, mode: int
) -> None:
    store = _store(folder)
    store.upgrade()
    store.close()
    file = folder / name
    file.touch()
    os.chown(file, 0, 0)
    file.chmod(mode)

    said = _as_service(store, _CHECK, work)
    assert said[0].startswith("StateUnreachable ")
    assert f"{file} belongs to root, and syncd runs as user {_SERVICE}" in said[0]
    assert said[1] == said[0]
    remedy = said[0].rstrip(".").rpartition(": ")[2]
    assert remedy == f"chown --reference={folder} {folder}/syncd.db*"

    if name != "syncd.db-wal":  # SQLite itself gives that one to the database's owner, if root opens it.
        outcome = of_store(store, upgrades_itself=True)
        store.close()
        assert (outcome.state, f"{file} belongs to root" in outcome.found) == (State.FAILED, True)
        assert remedy in outcome.advice

    subprocess.run(["sh", "-c", remedy], check=True)
    assert _as_service(store, _CHECK) == ["done"]
    # A mode that lets others read stays worth a warning; SQLite makes its -wal anew.
    is_private = mode == 0o600 or name == "syncd.db-wal"
    assert of_store(store, upgrades_itself=True).state is (State.OK if is_private else State.WARNING)


@pytest.fixture
def shared_folder(folder: Path) -> Path:
    """A folder of root's that the service may write to, with a database of the service's in it."""
    os.chown(folder, 0, 0)
    folder.chmod(0o777)
    store = _store(folder)
    assert _as_service(store, "store.upgrade()") == ["done"]
    assert _owners(folder) == {"syncd.db": _SERVICE}
    return folder


def test_lock_that_root_creates_belongs_to_the_owner_of_the_database(shared_folder: Path) -> None:
    store = _store(shared_folder)
    with locked(store, 5740, Purpose.WRITING), store.begin() as connection:
        connection.execute(text("CREATE TABLE more (x)"))
        assert set(_owners(shared_folder).values()) == {_SERVICE}
    store.close()
    assert _as_service(store, _CHECK, _LOCK, _WRITE) == ["done"] * 3


def test_lock_of_roots_is_named_to_the_service_and_by_doctor_whoever_owns_the_folder(shared_folder: Path) -> None:
    store = _store(shared_folder)
    lock = shared_folder / "syncd.db.5740.writing.lock"
    lock.touch(mode=0o600)
    remedy = f"chown --reference={shared_folder}/syncd.db {shared_folder}/syncd.db*"
    for said in _as_service(store, _CHECK, _LOCK):
        assert f"{lock} belongs to root, and syncd runs as user {_SERVICE}" in said
        assert f"As root, give it the owner of the database: {remedy}" in said
    outcome = of_store(store, upgrades_itself=True)
    assert (outcome.state, f"{lock} belongs to root" in outcome.found) == (State.FAILED, True)
    assert remedy in outcome.advice
    assert os.geteuid() == 0

    subprocess.run(["sh", "-c", remedy], check=True)
    assert _as_service(store, _CHECK, _LOCK) == ["done"] * 2
    assert of_store(store, upgrades_itself=True).state is State.OK
    store.close()


@pytest.mark.parametrize("kind", ["a folder", "a link", "a dangling link", "a pipe or device"])
def test_lock_that_is_no_file_is_named_by_the_run_and_by_doctor(folder: Path, kind: str) -> None:
    store = _store(folder)
    store.upgrade()
    lock, target = folder / "syncd.db.5740.writing.lock", folder / "target"
    match kind:
        case "a folder":
            lock.mkdir()
        case "a pipe or device":
            os.mkfifo(lock)
        case _:
            lock.symlink_to(target)
            if kind == "a link":
                target.touch()
    why = f"{lock} is {kind.replace('dangling ', '')} that belongs to root. Move it away: syncd creates the file again."
    with pytest.raises(StateUnreachable) as refused:
        store.check_writable()
    assert str(refused.value) == f"The state store cannot be used: {why}"
    if kind != "a pipe or device":
        with pytest.raises(StateUnreachable) as refused, locked(store, 5740, Purpose.WRITING):
            pass
        assert str(refused.value) == f"The state store cannot be used: {why}"
    assert target.exists() is (kind == "a link")
    store.close()


def test_a_restored_file_of_roots_is_handed_over_but_never_by_a_link(folder: Path) -> None:
    database, secret = folder / "syncd.db", folder.parent / "secret"
    database.touch()
    secret.touch()
    (folder / "syncd.db-wal").symlink_to(secret)
    (folder / "syncd.db.1.writing.lock").hardlink_to(secret)
    files.hand_over(database)
    assert (database.stat().st_uid, secret.stat().st_uid) == (_SERVICE, 0)


def test_user_other_than_root_or_owner_is_refused_naming_the_owner(folder: Path) -> None:
    store = _store(folder)
    store.upgrade()
    store.close()
    said = _as_service(store, _CHECK, "store.revision()", "store.upgrade()", _LOCK, uid=_SERVICE + 1)
    assert [line.split()[0] for line in said] == ["StateUnreachable"] * 4
    assert f"belongs to user {_SERVICE}" in said[0]
    assert f"Run syncd as user {_SERVICE} or as root" in said[0]
    assert [line for line in said if "or as root" not in line] == []


def test_store_in_an_inaccessible_folder_is_refused_with_a_message(folder: Path) -> None:
    (folder / "inner").mkdir()
    store = _store(folder / "inner")
    for said in _as_service(store, _CHECK, "store.revision()", _WRITE, _LOCK, uid=_SERVICE + 1):
        assert said.startswith("StateUnreachable "), said
        assert "Permission denied. Run syncd as the owner" in said


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    store = _store(folder / "lost")
    with pytest.raises(StateUnreachable, match=r"its folder \S+/lost does not exist"):
        store.check_writable()


def test_a_store_that_another_process_writes_to_is_writable_at_once(folder: Path) -> None:
    store, other = _store(folder), _store(folder)
    store.upgrade()
    with other.begin():
        store.check_writable()
    with store.begin() as connection:
        connection.execute(text("CREATE TABLE more (x)"))


def test_a_database_that_takes_no_writes_is_not_writable(postgres_url: str) -> None:
    store = Store(postgres_url, ValueCipher())
    store.check_writable()
    with store.engine.connect() as connection, connection.execution_options(isolation_level="AUTOCOMMIT"):
        name = store.url.database
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    store.close()
    said = (
        f"The state store {store} takes no writes: it is a primary that is set to read-only. "
        "Set default_transaction_read_only = off for the database, the role or the server."
    )
    with pytest.raises(StateUnreachable) as refused:
        store.check_writable()
    assert str(refused.value) == said
    # Doctor says so of a store without tables, too.
    finding = Check("state store", lambda: of_store(store, upgrades_itself=True)).finding()
    assert (finding.state, f"{finding.found}. {finding.advice}") == (State.FAILED, said)
    with pytest.raises(StateUnusable, match="default_transaction_read_only = off"), store.begin() as connection:
        connection.execute(text("CREATE TABLE more (x int)"))
    store.close()


def test_a_file_that_is_no_database_is_nothing_to_wait_for(folder: Path) -> None:
    (folder / "syncd.db").write_text("This is no database, but long enough to be taken for one.\n" * 9)
    with pytest.raises(StateUnusable, match="not a database") as caught:
        _store(folder).upgrade()
    assert not isinstance(caught.value, StateUnreachable)

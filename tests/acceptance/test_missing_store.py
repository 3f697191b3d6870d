"""A state store that is not there: a reading command makes none, and a daemon whose store is gone makes none either."""

import os
from pathlib import Path

import pytest

from tests.support.command import Exit, Syncd

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_READING = (
    ("status",),
    ("status", "--json"),
    ("held",),
    ("accounts",),
    ("history", "--since", "2020-01-01"),
    ("report",),
    ("plan",),
    ("explain", "L1"),
    ("db", "check"),
)
every_reading_command = pytest.mark.parametrize("command", _READING, ids=" ".join)


def _database(syncd: Syncd) -> Path:
    return syncd.folder / "state.db"


def _files(syncd: Syncd) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in syncd.folder.glob("state.db*")}


@every_reading_command
@pytest.mark.parametrize("is_empty", [False, True], ids=["no file", "an empty file"])
def test_command_that_reads_says_that_there_is_no_store(syncd: Syncd, command: tuple[str, ...], is_empty: bool) -> None:
    if is_empty:
        _database(syncd).touch()
    before = _files(syncd)
    finished = syncd(*command)
    assert f"There is no state store {_database(syncd)} yet; the first run creates it." in finished.stderr
    assert "Traceback" not in finished.stderr
    assert _files(syncd) == before
    if command[0] == "status":
        assert finished.exit == Exit.IN_STEP


@pytest.mark.parametrize("command", [("status",), ("plan",), ("sync",), ("run",), ("db", "upgrade")], ids=" ".join)
@pytest.mark.parametrize("is_emptied", [False, True], ids=["deleted", "emptied"])
@pytest.mark.slow
def test_store_that_is_gone_is_not_made_again(syncd: Syncd, command: tuple[str, ...], is_emptied: bool) -> None:
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    file = _database(syncd)
    os.truncate(file, 0) if is_emptied else file.unlink()
    before = _files(syncd)
    finished = syncd(*command)
    assert finished.exit == Exit.COULD_NOT_RUN
    lock = syncd.folder / f"{file.name}.{syncd.configuration['onefile']['organisation_id']}.writing.lock"
    assert finished.stderr.splitlines()[-1].startswith(f"The state store {file} is {'empty' if is_emptied else 'not'}")
    assert f"delete {lock} to begin with an empty store" in finished.stderr
    assert _files(syncd) == before

    lock.unlink()
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL


def test_daemon_whose_store_is_deleted_ends_with_1_and_makes_no_other(syncd: Syncd) -> None:
    with syncd.start("run") as daemon:
        daemon.wait_for_event("run_stopped")
        _database(syncd).unlink()
        finished = daemon.wait()
    assert finished.exit == Exit.COULD_NOT_RUN
    assert finished.stderr.splitlines()[-1].startswith(f"The state store {_database(syncd)} was deleted or moved while")
    assert "Traceback" not in finished.stderr
    assert not _database(syncd).exists()

"""Commands at a place that has no state store yet: only those that fill one create it."""

import shlex
from pathlib import Path

import pytest

from syncd.cli.examples import EXAMPLES

from .conftest import College, Syncd

#: These create a state store, or have one of their own.
_CREATING = {"sync", "run", "link", "db upgrade", "demo", "init"}
#: These use no state store, or serve until they are stopped.
_WITHOUT = {"simulate", "help", "admin password", "notify test"}
_CHANGING = (
    *("approve", "reject", "undo", "retry", "resync", "rekey", "release", "restore", "unlink", "verify", "db reseal"),
)
_OTHERS = sorted(EXAMPLES.keys() - _CREATING - _WITHOUT - set(_CHANGING))


def _databases(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("syncd.db*"))


@pytest.mark.parametrize("name", _CHANGING)
@pytest.mark.parametrize("is_empty", [False, True], ids=["no file", "an empty file"])
def test_command_that_changes_a_store_says_that_there_is_none(
    college: College, syncd: Syncd, name: str, is_empty: bool
) -> None:
    if is_empty:
        (college.folder / "syncd.db").touch()
    before = _databases(college.folder)

    refused = syncd(*shlex.split(EXAMPLES[name])[1:])

    place = college.folder / "syncd.db"
    assert (refused.exit, refused.stdout) == (1, "")
    assert refused.stderr == f"There is no state store {place.name} yet; the first run creates it.\n"
    assert _databases(college.folder) == before
    assert not is_empty or not place.stat().st_size


@pytest.mark.parametrize("name", _OTHERS)
def test_command_that_reads_a_store_creates_none(college: College, syncd: Syncd, name: str) -> None:
    syncd(*shlex.split(EXAMPLES[name])[1:])

    assert _databases(college.folder) == []


def test_retry_from_a_file_creates_no_store_either(college: College, syncd: Syncd) -> None:
    file = college.folder / "held.csv"
    file.write_text("role,misid,reason,other,user_id,answer\nLearner,L1,rekeyed?,L2,,new\n", encoding="utf-8")

    assert "no state store" in syncd("retry", "--from", str(file)).stderr
    assert _databases(college.folder) == []


@pytest.mark.parametrize("command", ["link", "db upgrade"])
def test_command_that_fills_a_store_creates_it(college: College, syncd: Syncd, command: str) -> None:
    assert syncd(*command.split()).exit == 0

    assert "syncd.db" in _databases(college.folder)

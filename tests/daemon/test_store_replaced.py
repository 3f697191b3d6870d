"""A state store that is deleted, moved, replaced or cut short under a daemon, which ends and says so."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from sqlalchemy import create_engine, text

from syncd.errors import StateReplaced
from syncd.state.db import maintenance
from syncd.state.db.store_watch import StoreWatch
from tests.support.college import College, Found
from tests.support.polling import wait_until

from .daemons import living

on_sqlite = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)
on_postgresql = pytest.mark.parametrize("state_url", ["postgres_url"], indirect=True)


def _file_of(college: College) -> Path:
    file = college.context.store.file
    assert file is not None
    return file


def _checkpoint(college: College) -> None:
    maintenance.vacuum(college.context.store, college.clock())


def _delete(file: Path, _backup: Path) -> None:
    file.unlink()


def _delete_all(file: Path, _backup: Path) -> None:
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


def _move(file: Path, _backup: Path) -> None:
    file.rename(file.with_name("elsewhere.db"))


def _replace(file: Path, backup: Path) -> None:
    backup.replace(file)


def _empty(file: Path, _backup: Path) -> None:
    os.truncate(file, 0)


def _cut_short(file: Path, _backup: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _overwrite(file: Path, backup: Path) -> None:
    # Not by `shutil.copyfile`, which empties the file first; and that may be seen.
    with file.open("r+b") as opened:
        opened.write(backup.read_bytes())
        opened.truncate()


def _overwrite_by_nonsense(file: Path, _backup: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"This is no database." * 1000)


def _restore(file: Path, backup: Path) -> None:
    source, target = sqlite3.connect(backup), sqlite3.connect(file)
    source.backup(target)
    source.close()
    target.close()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each look of the daemon at its store that is over."""
    over: list[None] = []
    check = StoreWatch.check

    def counted(watch: StoreWatch) -> None:
        check(watch)
        over.append(None)

    monkeypatch.setattr(StoreWatch, "check", counted)
    return over


def _run_to_end(
    college: College, trouble: Callable[[], None], looks: list[None]
) -> tuple[list[BaseException], list[str]]:
    """Live until the trouble has ended the daemon; what it ended with, and its events."""
    problems: list[BaseException] = []
    with structlog.testing.capture_logs() as log, living(college, problems=problems, look_again_seconds=0.1):
        wait_until(lambda: any(line["event"] == "run_finished" for line in log))
        looks.clear()
        # The first of them may have begun before the run was over.
        wait_until(lambda: len(looks) > 1)
        trouble()
        wait_until(lambda: bool(problems), patience=20)
    return problems, [line["event"] for line in log]


@on_sqlite
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (_delete, "was deleted or moved"),
        (_delete_all, "was deleted or moved"),
        (_move, "was deleted or moved"),
        (_replace, "was replaced by another file"),
        (_empty, "was emptied"),
        (_cut_short, "was cut short or overwritten"),
        (_overwrite, "was replaced by an older copy, whose newest run is 1 and not 2"),
        (_overwrite_by_nonsense, "was cut short or overwritten"),
        (_restore, "was replaced by an older copy, whose newest run is 1 and not 3"),
    ],
)
def test_daemon_ends_when_its_store_is_another_one(
    found: Found, tmp_path: Path, looks: list[None], trouble: Callable[[Path, Path], None], said: str
) -> None:
    college, backup = found(), tmp_path / "backup.db"
    file = _file_of(college)
    college.enrol(*(f"L{number}" for number in range(30)))
    college.run()
    _checkpoint(college)
    shutil.copyfile(file, backup)
    college.enrol("M1")
    college.run()
    _checkpoint(college)
    college.onefile.journal.clear()

    problems, events = _run_to_end(college, lambda: trouble(file, backup), looks)

    assert [type(problem) for problem in problems] == [StateReplaced]
    sentence = str(problems[0])
    assert f"The state store {file} {said}" in sentence
    assert "restore a backup" in sentence
    assert events.count("state_store_replaced") == 1
    assert events[-2:] == ["daemon_stopped", "state_store_replaced"]
    assert college.writes() == []
    if trouble in {_delete, _delete_all, _move}:
        assert not file.exists()
    if trouble is _empty:
        assert file.stat().st_size == 0


@on_sqlite
def test_copy_of_the_current_store_in_its_place_loses_nothing(found: Found, tmp_path: Path) -> None:
    college, backup, asked = found(), tmp_path / "backup.db", threading.Event()
    file = _file_of(college)
    college.enrol("L1")

    def finished() -> int:
        return sum(line["event"] == "run_finished" for line in log)

    with structlog.testing.capture_logs() as log, living(college, asked=asked):
        wait_until(lambda: finished() == 1)
        for runs in range(2, 6):
            shutil.copyfile(file, backup)
            _overwrite(file, backup)
            asked.set()
            wait_until(lambda runs=runs: finished() == runs)  # type: ignore[misc]
    assert "state_store_replaced" not in {line["event"] for line in log}


@on_postgresql
def test_daemon_ends_when_its_database_was_emptied(found: Found, state_url: str, looks: list[None]) -> None:
    college = found()
    college.enrol("L1")

    def drop() -> None:
        engine = create_engine(state_url)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()

    problems, _ = _run_to_end(college, drop, looks)
    assert [type(problem) for problem in problems] == [StateReplaced]
    assert "was emptied" in str(problems[0])


@on_sqlite
def test_daemon_whose_locks_are_deleted_gives_up_the_lead_and_takes_it_again(found: Found) -> None:
    college = found()
    college.enrol("L1")
    with structlog.testing.capture_logs() as log, living(college):
        wait_until(lambda: any(line["event"] == "run_finished" for line in log))
        for lock in _file_of(college).parent.glob("*.lock"):
            lock.unlink()
        wait_until(lambda: [line["event"] for line in log].count("daemon_started") == 2)
    assert [line["event"] for line in log].count("leadership_lost") == 1

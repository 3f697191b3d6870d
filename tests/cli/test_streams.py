"""What commands write, on terminals of every encoding, when records and OneFile's messages hold control characters."""

import csv
import io
import json
import os
import re
import sqlite3
import stat
import subprocess
from contextlib import closing
from typing import Any, Final

import pytest

from syncd.cli.credentials import write_passwords
from syncd.simulator.errors import bad_request
from syncd.simulator.models import User
from syncd.state.credentials import FirstPassword
from tests.support import forking
from tests.support.command import COMMAND

from .conftest import College, Syncd, terminal

_EVIL: Final = "\x1b[2J\u202eevil\u2028[red]x\x9b7m"
#: In no encoding but Unicode's.
_NAME: Final = "Łukasz-王-Zoë"
_MISID: Final = "L1001"
_DIRTY_MISID: Final = f"D1\nL9999 {_EVIL}"

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]")

_FOR_PEOPLE: Final = (
    *(("accounts",), ("held",), ("history", _MISID), ("history", "--since", "2020-01-01"), ("plan",), ("plan", "1")),
    *(("explain", _MISID, "--values"), ("help",), ("help", "reliability")),
)
_FOR_MACHINES: Final = (
    *(("accounts", "--csv"), ("held", "--csv"), ("history", "--since", "2020-01-01", "--csv")),
    *(("plan", "--csv", "--values"), ("held", "--json"), ("explain", _MISID, "--values", "--json")),
)


@pytest.fixture
def dirty(college: College, syncd: Syncd) -> College:
    """A college with an account, a refused record, a record that is to be changed, and one with an unusable MISID."""
    _change(college, "UPDATE learner SET surname = ? WHERE code = ?", (_NAME, _MISID))
    create: Any = college.onefile.world.create_user
    refused = 0

    def refuse_one(*arguments: Any, **fields: Any) -> User:
        nonlocal refused
        refused += 1
        if refused == 2:
            raise bad_request(f"No: {_EVIL}")
        user: User = create(*arguments, **fields)
        return user

    world: Any = college.onefile.world
    world.create_user = refuse_one
    assert syncd("sync", "--approve").exit == 4
    world.create_user = create
    _change(college, "UPDATE learner SET surname = ? WHERE code = ?", (f"{_NAME} {_NAME}", _MISID))
    for table, column in (("learner", "code"), ("enrolment", "learner_code")):
        _change(college, f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (_DIRTY_MISID, "L1002"))
    assert syncd("sync").exit in {3, 4}
    _change(college, "UPDATE learner SET surname = ? WHERE code = ?", (f"{_NAME} 2", _MISID))
    # No feed can bring such a MISID; OneFile and an older store can.
    for table in ("account", "held", "change"):
        _change(college, f"UPDATE {table} SET misid = ? WHERE misid IN ('', 'L1003')", (_DIRTY_MISID,), "syncd.db")
    return college


def _change(college: College, statement: str, values: tuple[object, ...], file: str = "mis.db") -> None:
    with closing(sqlite3.connect(college.folder / file)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement, values)


def _run(college: College, *arguments: str, encoding: str) -> subprocess.CompletedProcess[bytes]:
    stdout, stderr = college.folder / "stdout", college.folder / "stderr"
    for file in (stdout, stderr):
        file.unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    code = forking.run(arguments, college.folder, environment, stdout, stderr, timeout_seconds=60)
    return subprocess.CompletedProcess(arguments, code, stdout.read_bytes(), stderr.read_bytes())


def test_forked_command_has_the_encoding_of_a_started_one(college: College) -> None:
    started = subprocess.run(
        [*COMMAND, "help", "reliability"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert _run(college, "help", "reliability", encoding="ascii").stdout == started.stdout


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8"])
def test_every_command_writes_in_any_encoding_and_no_control_character(dirty: College, encoding: str) -> None:
    for command in _FOR_PEOPLE:
        done = _run(dirty, *command, encoding=encoding)
        said = (done.stdout + done.stderr).decode(encoding)
        assert "Unexpected" not in said, (command, said)
        assert said.strip(), command
        assert not _UNPRINTABLE.findall(said), (command, said)
    for data in _FOR_MACHINES:
        done = _run(dirty, *data, encoding=encoding)
        said = done.stdout.decode("utf-8")
        assert done.returncode == 0, (data, done.stderr)
        assert not _UNPRINTABLE.findall(said.replace("\r\n", "\n")), (data, said)
        if "--csv" in data:
            assert list(csv.DictReader(io.StringIO(said))), data
        else:
            assert json.loads(said), data
        assert _NAME in said or "plan" not in data, data


def test_documentation_is_printed_where_only_ascii_is(college: College) -> None:
    done = _run(college, "help", "reliability", encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


def test_json_has_the_misid_as_it_is_and_tables_one_line_for_it(dirty: College, syncd: Syncd) -> None:
    held = json.loads(syncd("held", "--json").stdout)
    assert _DIRTY_MISID in [each["misid"] for each in held]

    lines = syncd("held").stdout.splitlines()
    (line, *_) = [each for each in lines if "D1" in each]
    assert r"D1\u000aL9999 \u001b[2J\u202eevil\u2028[red]x\u009b7m" in line
    assert not [each for each in lines if each.startswith("L9999")]


def test_only_colours_of_syncd_reach_a_terminal(dirty: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (("held",), ("plan",), ("explain", _MISID), ("history", "--since", "2020-01-01")):
        with terminal(monkeypatch) as lines:
            syncd(*command)
        assert lines, command
        assert not _UNPRINTABLE.findall("\n".join(lines)), command


def test_log_has_no_control_character_and_stays_json(dirty: College) -> None:
    done = _run(dirty, "sync", encoding="utf-8")
    said = done.stderr.decode()
    assert not _UNPRINTABLE.findall(said)
    assert [json.loads(line)["event"] for line in said.splitlines()]


def test_pages_show_no_character_that_turns_the_direction(dirty: College, syncd: Syncd) -> None:
    assert syncd("plan", "--html", "plan.html").exit == 0
    assert not _UNPRINTABLE.findall((dirty.folder / "plan.html").read_text(encoding="utf-8"))


def test_first_passwords_are_no_formulas(college: College) -> None:
    file = college.folder / "passwords.csv"
    write_passwords(file, [FirstPassword(1, "Learner", "=L1", 7, "@ann\u202e", "-secret")])

    (row,) = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig")))
    assert (row["misid"], row["username"], row["password"], row["user_id"]) == ("'=L1", "'@ann\\u202e", "'-secret", "7")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

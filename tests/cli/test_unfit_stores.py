"""A store with another key or another schema: every command that uses it refuses it, in the same words."""

import sqlite3
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from .conftest import College, Syncd

_KEY = "SYNCD_STATE__ENCRYPTION_KEY"
_READING = (
    *("status", "status --json", "held", "accounts", "history L1001", "report", "plan", "plan 1", "explain L1001"),
    "credentials export passwords.csv",
)
_WRITING = ("sync", "run", "resync", "approve", "retry", "verify", "link", "unlink L1001", "undo 1", "db reseal")


def _revise(folder: Path, revision: str) -> None:
    """Have the schema be at another migration."""
    with sqlite3.connect(folder / "syncd.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


@pytest.fixture
def encrypted(college: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> College:
    monkeypatch.setenv(_KEY, Fernet.generate_key().decode())
    # It awaits an approval: there are values, and no account.
    assert syncd("sync").exit == 3
    return college


@pytest.mark.usefixtures("encrypted")
@pytest.mark.parametrize("key", ["", Fernet.generate_key().decode()], ids=["missing", "wrong"])
def test_store_of_another_key_is_refused_by_every_command(
    syncd: Syncd, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    if key:
        # There are accounts as well.
        assert syncd("sync", "--approve").exit == 4
    monkeypatch.setenv(_KEY, key)
    for command in (*_READING, *_WRITING):
        if not key and command in {"db reseal", "credentials export passwords.csv"}:
            continue
        refused = syncd(*command.split())
        assert (refused.exit, refused.stdout) == (1, ""), command
        assert refused.stderr.startswith("The state store "), command
        assert f"Set {_KEY} to" in refused.stderr, command
    checked = syncd("db", "check")
    assert (checked.exit, "plan_step.detail cannot be decrypted" in checked.stderr) == (1, True)


def test_store_of_newer_syncd_is_refused_by_every_command_alike(college: College, syncd: Syncd) -> None:
    assert syncd("sync").exit == 3
    _revise(college.folder, "9999")
    said = {command: syncd(*command.split()) for command in (*_READING[:-1], *_WRITING[:-1], "db check", "db upgrade")}
    assert {(each.exit, each.stdout) for each in said.values()} == {(1, "")}
    (sentence,) = {each.stderr for each in said.values()}
    assert "was written by a newer syncd: its schema is 9999" in sentence
    assert sentence.endswith("Install that version again.\n")
    assert "9999" in syncd("db", "current").stdout


@pytest.mark.parametrize(
    ("upgrades_itself", "remedy"),
    [
        ("true", "'syncd run' and 'syncd sync' upgrade it, and so does 'syncd db upgrade'.\n"),
        ("false", "Run 'syncd db upgrade'.\n"),
    ],
)
def test_command_that_reads_an_older_schema_says_what_upgrades_it(
    college: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch, upgrades_itself: str, remedy: str
) -> None:
    assert syncd("sync").exit == 3
    _revise(college.folder, "0000")
    monkeypatch.setenv("SYNCD_STATE__AUTO_UPGRADE", upgrades_itself)
    for command in (*_READING[:-1], "db check"):
        refused = syncd(*command.split())
        assert (refused.exit, refused.stdout) == (1, ""), command
        assert refused.stderr.endswith(f"is 0000, but this version of syncd needs 0001. {remedy}"), command


def test_store_of_another_onefile_is_refused_before_its_upgrade(college: College, syncd: Syncd) -> None:
    assert syncd("sync").exit == 3
    _revise(college.folder, "0000")
    college.configure(base_url='base_url = "https://onefile.example/api/v2.1"', calls_per_minute="")
    for command in ("sync", "db upgrade", "approve"):
        refused = syncd(*command.split())
        assert (refused.exit, refused.stdout) == (1, ""), command
        assert "belongs to the simulated OneFile" in refused.stderr, command
    assert "at 0000" in syncd("db", "current").stdout

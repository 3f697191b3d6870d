"""What syncd writes is for its owner only, whatever umask it is started with; doctor reports what is not."""

import os
import stat
import sys
from pathlib import Path

import pytest

from tests.support.command import Exit, Finished, Syncd
from tests.support.polling import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask"),
    pytest.mark.parametrize("mis", ["sqlite"], indirect=True),
]


def _modes(folder: Path) -> dict[str, int]:
    """Of everything that syncd has written there, but not of what this test writes for it."""
    return {
        file.name: stat.S_IMODE(file.stat().st_mode)
        for file in (folder, *folder.rglob("*"))
        if file.suffix not in {".out", ".err"}
    }


def _start(syncd: Syncd, *command: str) -> Finished:
    """Run a command in a process that begins with the umask."""
    with syncd.start(*command) as running:
        return running.wait()


@pytest.mark.parametrize(
    "umask", [0o000, *(pytest.param(umask, marks=pytest.mark.slow) for umask in (0o022, 0o277))], ids=oct
)
def test_every_file_is_for_its_owner_only(syncd: Syncd, umask: int) -> None:
    made, theirs = syncd.folder / "made", set(_modes(syncd.folder))
    syncd.umask = umask
    assert _start(syncd, "init", str(made), "--no-input").exit == Exit.IN_STEP
    with syncd.start("run") as daemon:
        daemon.wait_for_event("run_stopped")
        # The stopped run still holds the lock for a moment.
        wait_until(lambda: syncd("link").exit != Exit.LOCKED, "the lock to be free")
        for command in (("db", "backup", "copy.db"), ("plan", "--html", "plan.html")):
            finished = _start(syncd, *command)
            assert finished.exit == Exit.IN_STEP, finished.stderr
        modes = _modes(syncd.folder)
        daemon.terminate()
    written = {name: mode for name, mode in modes.items() if name not in theirs}
    assert {"state.db", "state.db-wal", "state.db-shm", "syncd.toml", "copy.db", "plan.html"} <= modes.keys()
    assert {"state.db.5740.writing.lock", "state.db.5740.leading.lock", "assessors.sql"} <= written.keys()
    assert written.pop("made") == 0o700
    assert set(written.values()) == {0o600}
    assert set(_modes(made).values()) == {0o600, 0o700}


@pytest.mark.parametrize(
    ("name", "mode", "finding"),
    [
        ("state.db", 0o644, "can be read by"),
        ("state.db", 0o640, "can be read by"),
        ("state.db.5740.writing.lock", 0o666, "can be changed by"),
        ("syncd.toml", 0o664, "can be changed by"),
        ("syncd.toml", 0o644, ""),
    ],
)
def test_doctor_reports_a_file_that_others_can_get_at(syncd: Syncd, name: str, mode: int, finding: str) -> None:
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    file = syncd.folder / name
    file.touch()
    file.chmod(mode)
    findings = {each["check"]: each for each in syncd("doctor", "--json").json}
    found = findings["configuration" if name == "syncd.toml" else "state store"]
    if not finding:
        assert found["state"] == "ok"
        return
    assert found["state"] == "warning"
    # SQLite gives the files beside its database the mode of that.
    assert f"{file} (mode {mode:04o})" in found["found"]
    assert f"{finding} other users of this machine" in found["found"]
    remedy = "go-w" if name == "syncd.toml" else "600"
    assert found["advice"].startswith(f"Run: chmod {remedy} {file}")


@pytest.mark.parametrize(("key", "value"), [("token", "zz-an-admin-token"), ("viewer_token", "zz-a-viewers-token")])
def test_doctor_reports_a_configuration_with_a_secret_that_others_can_read(syncd: Syncd, key: str, value: str) -> None:
    syncd.configure(admin={key: value})
    syncd.file.chmod(0o644)
    (found, *_) = syncd("doctor", "--json").json
    assert (found["state"], found["advice"]) == ("warning", f"Run: chmod 600 {syncd.file}.")
    syncd.file.chmod(0o600)
    (found, *_) = syncd("doctor", "--json").json
    assert found["state"] == "ok"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can be told apart from a service")
def test_doctor_of_root_tries_to_read_the_configuration_as_the_service(syncd: Syncd) -> None:
    state = syncd.folder / "state"
    state.mkdir()
    os.chown(state, 61_234, 61_234)
    syncd.configure(state={"url": "sqlite:///state/state.db"})
    syncd.file.chmod(0o600)
    (found, *_) = syncd("doctor", "--json").json
    assert found["state"] == "warning"
    assert f"{syncd.file} cannot be read by the user with uid 61234: Permission denied" in found["found"]
    assert found["advice"] == "Let this user read it, and open the folders that it is in."

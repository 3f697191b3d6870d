"""First passwords are handed over once, and never lost or shown on the way."""

import csv
import getpass
import stat
from operator import attrgetter, itemgetter
from pathlib import Path

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.fixtures import STATES
from tests.support.provider.onefile import OneFile

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_KEY = "Zm9yIHRlc3RzIG9ubHksIGFuZCBub3QgYSBzZWNyZXQ="
_PASSWORDS = "never-log-this"
"""What the simulator's passwords for new accounts begin with."""

either_store = pytest.mark.parametrize("state", STATES, indirect=True)


@pytest.fixture
def created(syncd: Syncd) -> Syncd:
    """A syncd that has made the learners' accounts, and has a key to keep their passwords with."""
    syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"] = _KEY
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    return syncd


@pytest.mark.slow
@either_store
def test_first_passwords_are_handed_over_once(onefile: OneFile, created: Syncd) -> None:
    file = created.folder / "passwords.csv"

    exported = created("credentials", "export", str(file))

    assert exported.exit == Exit.IN_STEP, exported.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(_rows(file), key=itemgetter("user_id")) == [
        {
            "organisation_id": str(onefile.organisation_id),
            "role": "Learner",
            "misid": learner.misid,
            "user_id": str(learner.id),
            "username": learner.username,
            "password": f"{_PASSWORDS}-{learner.id}",
        }
        for learner in sorted(onefile.learners, key=attrgetter("id"))
    ]
    assert exported.stdout.startswith(f"{len(onefile.learners)} first passwords ")
    (event,) = exported.events
    assert (event["event"], event["count"]) == ("credentials_exported", len(onefile.learners))
    assert event["by"] == getpass.getuser()

    again = created("credentials", "export", "again.csv")
    assert again.exit == Exit.IN_STEP
    assert "no first passwords" in again.stdout
    assert not (created.folder / "again.csv").exists()
    assert [name for name, said in created.everything_said() if _PASSWORDS in said] == []


@pytest.mark.slow
def test_what_cannot_be_written_is_not_erased(onefile: OneFile, created: Syncd) -> None:
    taken = created.folder / "taken.csv"
    taken.write_text("mine")
    for file, words in (taken, "already"), (created.folder / "nowhere" / "passwords.csv", "cannot be written"):
        refused = created("credentials", "export", str(file))
        assert refused.exit == Exit.COULD_NOT_RUN
        assert words in refused.stderr
        assert refused.events == []
    assert taken.read_text() == "mine"

    assert created("credentials", "export", "passwords.csv").exit == Exit.IN_STEP
    assert len(_rows(created.folder / "passwords.csv")) == len(onefile.learners)


@pytest.mark.slow
def test_without_a_key_or_a_first_run_there_are_none(syncd: Syncd) -> None:
    without_key = syncd("credentials", "export", "passwords.csv")
    assert without_key.exit == Exit.COULD_NOT_RUN
    assert "SYNCD_STATE__ENCRYPTION_KEY" in without_key.stderr

    syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"] = _KEY
    assert syncd("credentials", "export", "passwords.csv").exit == Exit.IN_STEP
    assert not list(syncd.folder.glob("passwords.csv"))
    assert not list(syncd.folder.glob("state.db*"))


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))

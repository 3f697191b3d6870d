"""Upgrading with a store in use, and going back: what was known is known, and nobody is created twice."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from syncd.resources import shipped
from syncd.state.db.schema import NEWEST
from tests.support.command import Exit, Syncd
from tests.support.provider.expected import sendable
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

on_sqlite = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_LOOKING = (("accounts", "--json"), ("held", "--json"), ("history", "--since", "1d", "--json"))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    return config


def _older() -> list[str]:
    """Every schema that an older syncd may have left, the newest first; the present one as long as it is the first."""
    return [each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()][1:] or [NEWEST]


def _as_left_by_an_older_one(url: str, revision: str) -> None:
    """Take away from a store what an older syncd did not have."""
    engine = create_engine(url)
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def _url(syncd: Syncd) -> str:
    url = str(syncd.configuration["state"]["url"])
    return url.replace("sqlite:///", f"sqlite:///{syncd.folder}/")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@on_sqlite
@pytest.mark.parametrize("state", ["sqlite", "postgresql"], indirect=True)
def test_a_store_of_every_older_syncd_is_taken_over_with_all_that_is_in_it(
    mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    before = [syncd(*looking).json for looking in _LOOKING]
    older = _older()
    # What a schema comes to is seen on either; each is gone through on SQLite, the newest and the oldest on both.
    for revision in older if "sqlite" in _url(syncd) else [older[0], older[-1]]:
        _as_left_by_an_older_one(_url(syncd), revision)

        with onefile.watched() as calls:
            done = syncd("sync")

        assert done.exit == Exit.SOME_HELD, done.stderr
        assert calls == []
        assert [syncd(*looking).json for looking in _LOOKING] == before
    assert f"The schema is at {NEWEST};" in syncd("db", "current").stdout
    assert syncd("db", "check").exit == Exit.IN_STEP

    misid = onefile.misids[0] or ""
    mis.correct(misid, family_name="Ó Súilleabháin")
    with onefile.watched() as calls:
        assert syncd("sync").exit == Exit.SOME_HELD
    assert [call.body for call in calls if call.is_write] == [{"LastName": "Ó Súilleabháin"}]


@pytest.mark.slow
@on_sqlite
def test_backup_before_an_upgrade_can_be_restored_without_duplicates(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    late = min(sendable(mis))
    row = next(one for one in mis.enrolled if one.learn_ref_number == late)
    mis.withdraw(late)
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    older = _older()[0]
    _as_left_by_an_older_one(_url(syncd), older)
    known = {user.misid: user.id for user in onefile.learners}

    # The new program is installed; it has not touched the store yet, and copies it as it is.
    backup = syncd.folder / "before.db"
    copied = syncd("db", "backup", str(backup))
    assert copied.exit == Exit.IN_STEP, copied.stderr
    # It upgrades, creates somebody, and sends a surname that is taken back in the MIS later.
    mis.enrol([row])
    married = onefile.misids[0] or ""
    name = onefile.learner(married).values["LastName"]
    mis.correct(married, family_name="Blodeuwedd")
    assert syncd("sync").exit == Exit.SOME_HELD
    assert onefile.learner(married).values["LastName"] == "Blodeuwedd"
    mis.correct(married, family_name=name)

    _put_back(backup, syncd.folder / "state.db")

    # The store is the older program's again. That one is not here, so the newer one makes its run.
    assert f"The schema is at {older};" in syncd("db", "current").stdout
    assert syncd("sync").exit == Exit.SOME_HELD
    assert Counter(onefile.misids) == Counter(sendable(mis))
    assert known.items() <= {one["misid"]: one["user_id"] for one in syncd("accounts", "--json").json}.items()
    # What the newer one had sent since is drift to it.
    assert onefile.learner(married).values["LastName"] == "Blodeuwedd"
    assert syncd("verify", "--full", "--fix").exit == Exit.IN_STEP
    assert onefile.learner(married).values["LastName"] == name


def _put_back(backup: Path, store: Path) -> None:
    """As the README says: the copy in the store's place, and nothing of the old one beside it."""
    for beside in ("-wal", "-shm"):
        store.with_name(f"{store.name}{beside}").unlink(missing_ok=True)
    shutil.move(backup, store)


@on_sqlite
def test_a_store_that_is_not_there_cannot_be_copied(syncd: Syncd) -> None:
    refused = syncd("db", "backup", "copy.db")
    assert refused.exit == Exit.COULD_NOT_RUN
    assert "There is no state store" in refused.stderr
    assert not (syncd.folder / "copy.db").exists()
    assert not (syncd.folder / "state.db").exists()

"""What the checks of doctor make of what they are shown, where no process is needed to show it."""

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import text

from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.errors import ConfigurationError
from syncd.onefile import Organisation
from syncd.operations.doctor import (
    Check,
    FeedCounts,
    Finding,
    Outcome,
    State,
    failed,
    made,
    of_admin,
    of_configuration,
    of_daemon,
    of_encryption,
    of_keychain,
    of_notify,
    of_runs,
    of_schedule,
    of_store,
)
from syncd.state import daemons, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import empty_store
from tests.support.sessions import session_on

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def _fails() -> Outcome:
    raise ConfigurationError("It is broken. Mend it.")


def test_check_is_skipped_if_direct_or_indirect_dependency_failed() -> None:
    looked: list[str] = []

    def look(name: str) -> Outcome:
        looked.append(name)
        return Outcome(name)

    checks = [
        Check("ground", _fails),
        Check("floor", lambda: look("floor"), needs="ground"),
        Check("roof", lambda: look("roof"), needs="floor"),
        Check("garden", lambda: look("garden")),
    ]
    assert list(made(checks)) == [
        Finding("ground", State.FAILED, "It is broken", "Mend it."),
        Finding("floor", State.SKIPPED, "not checked: needs the ground"),
        Finding("roof", State.SKIPPED, "not checked: needs the floor"),
        Finding("garden", State.OK, "garden"),
    ]
    assert looked == ["garden"]


@pytest.mark.parametrize(
    ("sentences", "found", "advice"),
    [
        ("It is broken.", "It is broken", "Ask somebody."),
        ("St. Mary's is broken. Mend it.", "St. Mary's is broken", "Mend it."),
        ("Is it x?", "Is it x?", "Ask somebody."),
    ],
)
def test_the_last_sentence_of_an_error_is_the_advice(sentences: str, found: str, advice: str) -> None:
    finding = failed("it", ConfigurationError(sentences), "Ask somebody.")
    assert (finding.found, finding.advice) == (found, advice)


@pytest.mark.parametrize(
    ("limits", "advice"),
    [
        (Limits(), ""),
        (Limits(percent=15, percent_day=15, percent_week=15), ""),
        (Limits(percent=16), "Raise guard.percent_day to at least 16, or lower guard.percent."),
        (Limits(percent=40, percent_day=40), "Raise guard.percent_week to at least 40, or lower guard.percent_day."),
        (Limits(percent_day=30), "Raise guard.percent_week to at least 30, or lower guard.percent_day."),
        (Limits(percent_week=12.5), "Raise guard.percent_week to at least 15"),
        (Limits(percent=30, percent_week=20), "Raise guard.percent_day"),
    ],
)
def test_limit_above_that_of_a_longer_time_is_a_warning(limits: Limits, advice: str) -> None:
    outcome = of_configuration("one feed", limits)
    assert outcome.advice.startswith(advice)
    assert outcome.state is (State.WARNING if advice else State.OK)


def test_live_without_a_quiet_window_or_a_first_run_is_a_warning() -> None:
    store = empty_store(ValueCipher())
    window = (time(7), time(7, 30))
    for is_live, quiet, awaited in (True, (), State.WARNING), (True, (window,), State.OK), (False, (), State.OK):
        assert of_schedule("15m", quiet, is_live=is_live).state is awaited
    for is_live, awaited in (True, State.WARNING), (False, State.OK):
        assert of_runs(store, 5740, lambda: _NOW, is_live=is_live).state is awaited


@pytest.mark.parametrize(
    ("revision", "upgrades_itself", "state", "words"),
    [
        ("0000", True, State.OK, "next run upgrades"),
        ("0000", False, State.FAILED, "syncd db upgrade"),
        ("9999", True, State.FAILED, "newer syncd"),
    ],
)
def test_wrong_schema_revision_is_reported_and_dependent_checks_skipped(
    revision: str, *, upgrades_itself: bool, state: State, words: str
) -> None:
    store = empty_store(ValueCipher())
    with store.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        connection.execute(text("DROP TABLE run"))
    outcome = Check("state store", lambda: of_store(store, upgrades_itself=upgrades_itself)).finding()
    assert outcome.state is state
    assert words in outcome.found + outcome.advice
    assert of_runs(store, 5740, lambda: _NOW, is_live=True).state is State.SKIPPED
    assert of_daemon(store, 5740, lambda: _NOW).state is State.SKIPPED


def test_a_daemon_that_is_overdue_is_a_warning() -> None:
    store = empty_store(ValueCipher())
    with store.begin() as connection:
        daemons.register(session_on(connection, 5740, _NOW), "here", 1)
        daemons.note_next_run(session_on(connection, 5740), _NOW)
    assert of_daemon(store, 5740, lambda: _NOW + timedelta(minutes=1)).state is State.OK
    assert of_daemon(store, 5740, lambda: _NOW + timedelta(hours=1)).state is State.WARNING
    assert of_daemon(store, 1, lambda: _NOW + timedelta(hours=1)).state is State.OK


def test_a_last_run_that_failed_is_a_warning_with_why() -> None:
    store = empty_store(ValueCipher())
    with store.begin() as connection:
        number = runs.start(session_on(connection, 5740, _NOW), Trigger.COMMAND)
        runs.finish(session_on(connection, at=_NOW), number, RunState.FAILED, reason="The MIS is gone.")
    outcome = of_runs(store, 5740, lambda: _NOW, is_live=False)
    assert outcome.state is State.WARNING
    assert "The MIS is gone" in outcome.found


def test_notify_check_is_ok_with_or_without_urls() -> None:
    assert of_notify(()).state is State.OK
    assert "URL 1 (JSON)" in of_notify(["URL 1 (JSON)"]).found


def test_only_what_others_can_reach_is_a_warning() -> None:
    assert of_admin("", is_loopback=False).state is State.OK
    assert of_admin("127.0.0.1:1", is_loopback=True).state is State.OK
    assert of_admin("0.0.0.0:1", is_loopback=False).state is State.WARNING


def test_special_fields_want_a_key() -> None:
    assert of_encryption({"L12"}, has_key=True).state is State.OK
    assert of_encryption({"FirstName"}, has_key=False).state is State.OK
    assert of_encryption({"FirstName", "L12"}, has_key=False).state is State.WARNING
    assert of_encryption(FeedCounts().mapped, has_key=False).state is State.SKIPPED


@pytest.mark.parametrize(
    ("suppresses", "words"), [(None, "e-mails"), (True, "Suppression is on"), (False, "Suppression is off")]
)
def test_keychain_check_warns_and_reports_email_suppression_state(suppresses: bool | None, words: str) -> None:
    outcome = of_keychain(Organisation(5740, "North", creates_keychains=True, suppresses_emails=suppresses))
    assert outcome.state is State.WARNING
    assert words in outcome.found
    assert ("Suppression" in outcome.found) is (suppresses is not None)

"""doctor says in one screen whether a run could be made, and goes on looking where something is broken."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.support.command import Exit, Finished, Syncd
from tests.support.polling import wait_until
from tests.support.provider.expected import expect
from tests.support.provider.mis import FEED, Mis
from tests.support.provider.onefile import OneFile
from tests.support.quiet import quiet_now

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_KEY = "Zm9yIHRlc3RzIG9ubHksIGFuZCBub3QgYSBzZWNyZXQ="
_SCREEN = 24
_CALLS = ["/Authentication", "/Customer", "/Organisation/Search"]
_CLOSED_PORT = "127.0.0.1:1"


def test_all_that_is_well_fits_on_one_screen(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"] = _KEY
    with onefile.watched() as calls:
        told = syncd("doctor")

    assert told.exit == Exit.IN_STEP, told.stdout
    assert told.stderr == ""
    assert [call.path for call in calls] == _CALLS
    assert "✗" not in told.stdout
    assert [line[2:15] for line in told.stdout.splitlines() if line.startswith("!")] == ["feed learners"]
    assert len(told.stdout.splitlines()) <= _SCREEN
    for word in ("organisation 5740", "Example Beta Customer", "Ynys Môn College", "creation is off"):
        assert word in told.stdout
    # Looking makes nothing, not even the state store.
    assert not list(syncd.folder.glob("state.db*"))
    for learner in mis.enrolled:
        assert str(learner.family_name) not in told.stdout


def test_feed_finding_counts_records_that_would_be_held_by_reason(mis: Mis, syncd: Syncd) -> None:
    awaited = [expect(learner, mis.college) for learner in mis.enrolled]
    held = Counter(one.held for one in awaited if one.held)
    left_out = Counter(name for one in awaited if not one.held for name in one.warnings)

    feed = _findings(syncd("doctor", "--json"))["feed learners"]

    assert feed["state"] == "warning"
    assert feed["found"].startswith(f"{len(awaited)} rows; ")
    assert f"{held.total()} would be held" in feed["found"]
    for words in (*(f"{n} {field} {reason}" for (reason, field), n in held.items()), f"{left_out['ULN']} ULN"):
        assert words in feed["found"]


def test_misid_in_more_than_one_row_is_reported(mis: Mis, syncd: Syncd) -> None:
    whole = expect(mis.enrolled[-1], mis.college)
    assert not whole.held
    syncd.write_feed(f"{FEED} UNION ALL {FEED} WHERE learner.learn_ref_number = '{whole.fields['MISID']}'")
    assert "1 MISID in more than one row" in _findings(syncd("doctor", "--json"))["feed learners"]["found"]


class Broken(NamedTuple):
    breaks: Callable[[Syncd], object]
    failed: str
    words: str
    """What is said of it."""
    skipped: frozenset[str] = frozenset()


_IN_ONEFILE = frozenset({"organisation", "Keychain", "references"})
_WITHOUT_CONFIGURATION = frozenset({"state store", "MIS", "feeds", "log-in"}) | _IN_ONEFILE

_BROKEN = {
    "a misspelt key": Broken(
        lambda syncd: syncd.configure(guard={"flor": 3}), "configuration", "'floor'", _WITHOUT_CONFIGURATION
    ),
    "no file": Broken(lambda syncd: syncd.file.unlink(), "configuration", "syncd init", _WITHOUT_CONFIGURATION),
    "a protected list that is not there": Broken(
        lambda syncd: syncd.configure(leavers={"protect": "nobody.txt"}), "leavers", "nobody.txt"
    ),
    "no folder for the state": Broken(
        lambda syncd: syncd.configure(state={"url": "sqlite:///nowhere/state.db"}),
        "state store",
        "nowhere does not exist",
        frozenset({"runs", "daemon"}),
    ),
    "a key that is none": Broken(
        lambda syncd: syncd.environment.update(SYNCD_STATE__ENCRYPTION_KEY="zz-no-key"),
        "state store",
        "Fernet",
        frozenset({"runs", "daemon"}),
    ),
    "an MIS that is not there": Broken(
        lambda syncd: syncd.configure(source={"url": f"postgresql+psycopg://me:Pa55word@{_CLOSED_PORT}/mis"}),
        "MIS",
        "cannot be reached",
        frozenset({"feed learners", "encryption"}),
    ),
    "an MIS of a make that has no driver here": Broken(
        lambda syncd: syncd.configure(source={"url": "nosuchmake://me:Pa55word@mis/mis"}),
        "MIS",
        "no driver for nosuchmake",
        frozenset({"feed learners", "encryption"}),
    ),
    "a misspelt column": Broken(
        lambda syncd: syncd.write_feed(FEED.replace("AS LastName", "AS LastNam")),
        "feed learners",
        "did you mean LastName",
        frozenset({"encryption"}),
    ),
    "no query": Broken(lambda syncd: syncd.feed.unlink(), "feed learners", "cannot be read", frozenset({"encryption"})),
    "no token": Broken(
        lambda syncd: setattr(syncd, "customer_token", ""),
        "customer token",
        "SYNCD_ONEFILE__CUSTOMER_TOKEN",
        _IN_ONEFILE | {"log-in"},
    ),
    "a wrong token": Broken(
        lambda syncd: setattr(syncd, "customer_token", "zz-wrong"), "log-in", "does not accept", _IN_ONEFILE
    ),
    "a OneFile that is not there": Broken(
        lambda syncd: syncd.configure(onefile={"base_url": f"http://{_CLOSED_PORT}/api/v2.1"}),
        "log-in",
        "cannot be reached",
        _IN_ONEFILE,
    ),
    "another organisation": Broken(
        lambda syncd: syncd.configure(onefile={"organisation_id": 99}),
        "organisation",
        "it sees 5740",
        _IN_ONEFILE - {"organisation"},
    ),
    "a class that is not there": Broken(
        lambda syncd: syncd.configure(defaults={"classroom_id": 1}), "references", "no ClassroomID 1"
    ),
    "a placement of no such name": Broken(
        lambda syncd: syncd.configure(defaults={"classroom_misid": "FEE99", "placement_name": "Nowhere"}),
        "references",
        "OneFile has no placement with the Name 'Nowhere'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", _BROKEN.values(), ids=_BROKEN.keys())
def test_what_is_broken_is_named_and_everything_else_is_looked_at(broken: Broken, syncd: Syncd) -> None:
    broken.breaks(syncd)

    told = syncd("doctor", "--json")

    assert told.exit == Exit.COULD_NOT_RUN
    assert told.stderr == ""
    findings = _findings(told)
    assert next(iter(findings)) == "configuration"
    assert _of_state(findings, "failed") == {broken.failed}
    assert _of_state(findings, "skipped") == broken.skipped
    assert broken.words in findings[broken.failed]["found"] + findings[broken.failed]["advice"]
    assert findings[broken.failed]["advice"].endswith((".", "?"))
    for secret in ("Pa55word", "zz-"):
        assert secret not in told.stdout


@pytest.mark.slow
def test_a_store_that_the_key_does_not_open_is_broken(syncd: Syncd) -> None:
    syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"] = _KEY
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    assert _findings(syncd("doctor", "--json"))["state store"]["state"] == "ok"

    del syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"]
    told = syncd("doctor")

    assert told.exit == Exit.COULD_NOT_RUN
    (at,) = (at for at, line in enumerate(told.stdout.splitlines()) if line.startswith("✗"))
    assert "The state store is encrypted, and no key is set" in told.stdout.splitlines()[at]
    assert "SYNCD_STATE__ENCRYPTION_KEY" in told.stdout.splitlines()[at + 1]


@pytest.mark.slow
@pytest.mark.parametrize("onefile", ["with Keychain"], indirect=True)
def test_what_should_be_thought_about_is_a_warning(syncd: Syncd) -> None:
    syncd.configure(leavers={"action": "archive"}, admin={"listen": "0.0.0.0:0", "token": "zz-an-admin-token"})
    syncd.file.chmod(0o644)
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL

    told = syncd("doctor", "--json")

    assert told.exit == Exit.IN_STEP
    findings = _findings(told)
    warnings = _of_state(findings, "warning")
    assert warnings == {"configuration", "leavers", "admin", "runs", "feed learners", "encryption", "Keychain"}
    assert all(one["advice"] for one in findings.values() if one["state"] == "warning")
    assert "can be read by" in findings["configuration"]["found"]
    assert "run 1 waits for approval" in findings["runs"]["found"]
    assert "L12, L13, L14" in findings["encryption"]["found"]
    assert "e-mails" in findings["Keychain"]["found"]


@pytest.mark.slow
def test_the_ids_of_the_defaults_are_found(onefile: OneFile, syncd: Syncd) -> None:
    syncd.configure(
        defaults={
            "classroom_id": onefile.classroom_id("FEE99"),
            "placement_id": onefile.placement_id("Default Placement"),
            "assessor_id": onefile.assessor_id("A-0001"),
        }
    )
    with onefile.watched() as calls:
        told = syncd("doctor", "--json")
    assert _findings(told)["references"]["state"] == "ok"
    assert len(calls) == len(_CALLS) + 3
    assert not any(call.is_write for call in calls)


@pytest.mark.slow
def test_each_of_several_organisations_is_looked_at(syncd: Syncd) -> None:
    syncd.feed.write_text(syncd.feed.read_text().replace("SELECT", "SELECT 5740 AS OrganisationID,", 1))
    syncd.configure(onefile={"organisations": [5740, 99]})
    findings = _findings(syncd("doctor", "--json"))
    assert _of_state(findings, "failed") == {"organisation 99"}
    assert _of_state(findings, "skipped") == {"Keychain 99", "references 99"}
    assert findings["Keychain 5740"]["state"] == findings["runs 99"]["state"] == "ok"


@pytest.mark.slow
def test_in_a_quiet_window_onefile_is_left_alone(onefile: OneFile, syncd: Syncd) -> None:
    syncd.configure(schedule={"quiet": [quiet_now()]})
    with onefile.watched() as calls:
        told = syncd("doctor", "--json")
    assert told.exit == Exit.IN_STEP
    assert _of_state(_findings(told), "skipped") == _IN_ONEFILE | {"log-in"}
    assert calls == []


@pytest.mark.slow
def test_a_daemon_is_seen(syncd: Syncd) -> None:
    assert _daemon(syncd).startswith("none is running")
    with syncd.start("run") as running:
        running.wait_for_event("daemon_started")
        wait_until(lambda: _daemon(syncd).startswith("running; next run at "), "the daemon")
        running.terminate()
    assert _daemon(syncd).startswith("none is running")


def _daemon(syncd: Syncd) -> str:
    found: str = _findings(syncd("doctor", "--json"))["daemon"]["found"]
    return found


def _findings(told: Finished) -> dict[str, dict[str, Any]]:
    assert all(one.keys() == {"check", "state", "found", "advice"} for one in told.json)
    return {one["check"]: one for one in told.json}


def _of_state(findings: dict[str, dict[str, Any]], state: str) -> set[str]:
    return {check for check, one in findings.items() if one["state"] == state}

"""A running daemon reads its configuration again when told to, as a service manager tells it."""

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Exit, Running, Syncd
from tests.support.guard import HIGHEST_LIMITS
from tests.support.polling import wait_until
from tests.support.provider.mis import FEED, Mis
from tests.support.provider.onefile import OneFile

pytestmark = [
    pytest.mark.parametrize("mis", ["sqlite"], indirect=True),
    pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal here"),
]


def _reload(daemon: Running) -> dict[str, Any]:
    """Have it read its configuration again; gives what it says of that."""
    before = len(daemon.events)
    daemon.process.send_signal(signal.SIGHUP)

    def look() -> dict[str, Any] | None:
        assert daemon.process.poll() is None
        said = (event for event in daemon.events[before:] if event["event"].startswith("configuration_"))
        return next(said, None)

    return wait_until(look, "an answer to SIGHUP")


@pytest.mark.slow
def test_reload_applies_valid_settings_and_refuses_invalid_or_fixed_ones(
    mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    telephones = {learner.values.get("Telephone") for learner in onefile.learners}
    good = syncd.file.read_text(encoding="utf-8")
    with syncd.start("run") as daemon:
        started = daemon.wait_for_event("daemon_started")
        daemon.wait_for_event("run_finished")

        syncd.write_feed(FEED.replace("'07%'", "'none'"))
        syncd.configure(leavers={"action": "archive"}, guard=dict(HIGHEST_LIMITS))
        taken = _reload(daemon)
        wait_until(lambda: {one.values.get("Telephone") for one in onefile.learners} > telephones, "the new feed")

        syncd.write_feed(FEED.replace("AS FirstName", "AS FistName"))
        misspelt = _reload(daemon)
        syncd.write_feed("SELEKT 1")
        wrong = _reload(daemon)
        syncd.write_feed(FEED)
        syncd.file.write_text(good.replace("[schedule]", "[schedule]\npol = '1s'"), encoding="utf-8")
        unknown = _reload(daemon)
        syncd.file.write_text(
            re.sub(r'url = "sqlite:///state.db"', 'url = "sqlite:///other.db"', good).replace(
                'listen = ""', 'listen = "127.0.0.1:8642"'
            ),
            encoding="utf-8",
        )
        lasting = _reload(daemon)

        runs = len([event for event in daemon.events if event["event"] == "run_finished"])
        wait_until(
            lambda: len([event for event in daemon.events if event["event"] == "run_finished"]) > runs, "another run"
        )
        finished = daemon.terminate()

    assert started["leavers"] == "report"
    assert (taken["event"], taken["leavers"]) == ("configuration_reloaded", "archive")
    for refused, sentence in (
        (misspelt, r"Feed learners: .*fistname.* did you mean FirstName\?"),
        (wrong, r"The feed learners cannot be read from the MIS: .*SELEKT"),
        (unknown, r"unknown key 'schedule.pol'; did you mean 'poll'\?"),
        (lasting, r"state\.url, admin\.listen cannot change while the daemon runs, .* restart the daemon"),
    ):
        assert refused["event"] == "configuration_reload_failed"
        assert re.search(sentence, refused["reason"], re.IGNORECASE), refused["reason"]
    events = [event["event"] for event in finished.events]
    assert (events.count("daemon_started"), finished.exit) == (1, Exit.IN_STEP)
    assert not Path(syncd.folder, "other.db").exists()
    assert "Traceback" not in finished.stderr


@pytest.mark.slow
def test_mis_that_hangs_during_a_reload_does_not_delay_daemon_shutdown(onefile: OneFile, syncd: Syncd) -> None:
    with syncd.start("run") as daemon:
        daemon.wait_for_event("daemon_started")
        syncd.write_feed(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS MISID FROM n"
        )
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(3)
        told_to_end_at = time.monotonic()
        finished = daemon.terminate()
    assert finished.exit == Exit.IN_STEP, finished.stderr
    assert time.monotonic() - told_to_end_at < 15
    assert "configuration_reloaded" not in finished.stderr
    assert "Traceback" not in finished.stderr


def test_at_the_start_one_line_says_what_it_does_and_when(onefile: OneFile, syncd: Syncd) -> None:
    syncd.configure(schedule={"poll": "15m", "verify": "0 3 * * *", "quiet": ["07:00-07:30"], "timezone": "UTC"})
    syncd.configure(schedule={"quiet": []})
    with syncd.start("run") as daemon:
        said = daemon.wait_for_event("daemon_started")
        assert daemon.terminate().exit == Exit.IN_STEP
    assert (
        said.items()
        >= {
            "poll": "15m",
            "verify": "0 3 * * *",
            "timezone": "UTC",
            "quiet": [],
            "jitter": "1m",
            "feeds": 1,
            "feed_names": ["learners"],
            "organisations": [onefile.organisation_id],
            "environment": onefile.base_url,
            "leavers": "report",
        }.items()
    )
    assert said["version"]
    assert said["next_poll_at"][:16] == said["at"][:16]
    assert re.fullmatch(r".*T03:00:\d\d\+00:00", said["next_verify_at"])

"""The demo, run as a newcomer runs it."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import tomllib
from dataclasses import asdict
from pathlib import Path
from signal import SIGTERM
from typing import Any
from urllib.parse import urlsplit

import pytest
from filelock import FileLock

from syncd.demo import StoryBroken
from syncd.demo.narrator import Narrator
from tests.support.command import COMMAND, Exit, Finished
from tests.support.polling import wait_until

_NAMES = ("forename", "surname")
_NUMBERS = ("email", "telephone", "mobile", "date_of_birth", "uln", "nino", "address")
#: What a reader must come across, in the order of the story.
_LANDMARKS = (
    "$ syncd plan",
    "61 to create",
    "$ syncd sync",
    "waits for approval",
    "(exit code 3: waits for approval)",
    "$ syncd approve",
    "$ syncd sync",
    "61 created; ",
    "3 held",
    "$ syncd held",
    "L1007",
    "Email is empty",
    "A week later",
    "$ syncd sync",
    "3 created, 2 updated; ",
    "$ syncd sync",
    "nothing to send; ",
    "0 calls",
    "What OneFile received",
    "create",
    "update",
    "LastName",
    "made no calls",
    "64 learners",
    "no MISID",
    "$ syncd undo 3 --misid L1015",
    "1 updated; ",
    "nothing to send; ",
    "3 held",
    "$ syncd retry L1015",
    "1 updated; ",
    "2 held",
    "syncd history L1008",
)


@pytest.fixture(
    scope="module",
    params=[pytest.param(is_on, marks=pytest.mark.slow) for is_on in (False, True)],
    ids=["", "keychain"],
)
def keychain(request: pytest.FixtureRequest) -> bool:
    """Whether OneFile creates a Keychain for every new account."""
    is_on: bool = request.param
    return is_on


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, worker_id: str, keychain: bool) -> Path:
    """Where the demo is started: one place for all who run these tests side by side."""
    base = tmp_path_factory.getbasetemp()
    shelf = (base if worker_id == "master" else base.parent) / f"shelf-{keychain}"
    shelf.mkdir(exist_ok=True)
    return shelf


@pytest.fixture(scope="module")
def told(shelf: Path, keychain: bool) -> Finished:
    """What the demo said, which is run by whoever comes first."""
    said = shelf.with_suffix(".json")
    with FileLock(shelf.with_suffix(".lock")):
        if not said.exists():
            finished = _syncd(shelf, "demo", *(["--keychain"] if keychain else []))
            said.write_text(json.dumps(asdict(finished)), encoding="utf-8")
        return Finished(**json.loads(said.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def folder(told: Finished, shelf: Path) -> Path:
    """What it left behind."""
    return shelf / "syncd-demo"


def test_whole_demo_prints_every_landmark_in_order_in_plain_text(told: Finished, keychain: bool) -> None:
    assert told.exit == Exit.IN_STEP, told
    assert told.stderr == ""
    assert "\x1b" not in told.stdout
    rest = told.stdout
    for landmark in _LANDMARKS:
        assert landmark in rest, f"{landmark!r} is not where the story has it; what follows there is:\n{rest}"
        rest = rest.partition(landmark)[2]
    assert ("64 e-mails" in told.stdout) is keychain


@pytest.mark.parametrize("page", ["README.md", "syncd/docs/getting-started.md"])
def test_what_a_page_shows_of_it_is_what_it_says(told: Finished, keychain: bool, page: str) -> None:
    shown, rest = _shown_on(page), _without_times(told.stdout)
    if keychain:
        # The ids of new accounts take calls to find.
        shown, rest = (re.sub(r"\d+ calls", "some calls", text) for text in (shown, rest))
    for line in filter(None, shown.splitlines()):
        assert f"{line}\n" in rest, f"{line!r} is not where {page} has it; what follows there is:\n{rest}"
        rest = rest.partition(f"{line}\n")[2]


def _shown_on(page: str) -> str:
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(\$ syncd sync\n.+?)^```", text, re.DOTALL | re.MULTILINE)
    # What is in brackets and indented is the page's own.
    return _without_times(re.sub(r"^    \(.+\)$", "", shown, flags=re.MULTILINE))


def _without_times(text: str) -> str:
    return re.sub(r"\d\d? \w{3} \d{4} \d\d:\d\d|[ ]+$", "", text, flags=re.MULTILINE)


def test_nothing_personal_is_shown_or_logged(told: Finished, folder: Path) -> None:
    log = (folder / "syncd.log").read_text(encoding="utf-8")
    assert log
    with sqlite3.connect(folder / "mis.db") as connection:
        for column in (*_NAMES, *_NUMBERS):
            for (value,) in connection.execute(f"SELECT DISTINCT {column} FROM learner WHERE {column} <> ''"):
                for text in (told.stdout, log):
                    assert not re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text), f"{column} is shown"
    connection.close()


def test_the_log_is_made_of_events(folder: Path, told: Finished) -> None:
    note, *lines = (folder / "syncd.log").read_text(encoding="utf-8").splitlines()
    assert note == "There is no state store syncd.db yet; the first run creates it."
    events = [json.loads(line)["event"] for line in lines]
    assert {"run_started", "run_stopped", "change_applied", "record_held", "run_finished"} <= set(events)


def test_the_customer_token_is_not_written_down(folder: Path) -> None:
    with (folder / "syncd.toml").open("rb") as file:
        assert "customer_token" not in tomllib.load(file)["onefile"]


def test_no_simulator_is_left_behind(folder: Path) -> None:
    assert not _answers(folder)


def test_only_the_folder_is_left_behind(folder: Path, shelf: Path) -> None:
    assert list(shelf.iterdir()) == [folder]


def test_a_second_demo_in_the_same_folder_is_refused(folder: Path, shelf: Path) -> None:
    before = _written_at(folder)

    refused = _syncd(shelf, "demo")

    assert refused.exit == Exit.COULD_NOT_RUN
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert "syncd-demo" in refused.stderr
    assert "--folder" in refused.stderr
    assert _written_at(folder) == before


def _written_at(folder: Path) -> dict[str, int]:
    """When each file was; those beside the store come and go with whoever looks into it."""
    files = (file for file in folder.iterdir() if not file.name.startswith("syncd.db-"))
    return {file.name: file.stat().st_mtime_ns for file in files if file.name != "syncd.db"}


def test_the_state_can_be_looked_at_afterwards(folder: Path) -> None:
    status = _json(folder, "status")
    assert status["accounts"] == {"Learner": 64}
    assert status["held"] == {"duplicate_key": 1, "missing": 1}
    assert status["last_run"]["applied"] == 1
    assert [(change["action"], change["outcome"]) for change in _json(folder, "history", "L1008")] == [
        ("create", "applied"),
        ("update", "applied"),
    ]
    assert [change["action"] for change in _json(folder, "history", "L1015")] == ["create", *["update"] * 3]
    assert len(_json(folder, "accounts")) == 64
    assert {one["misid"] for one in _json(folder, "held")} == {"L1038", "L1044"}


@pytest.mark.parametrize("in_the_way", ["a file", "a folder with something in it"])
def test_what_is_in_the_way_is_left_alone(in_the_way: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    file = place if in_the_way == "a file" else place / "notes.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")

    refused = _syncd(tmp_path, "demo", "--folder", str(place))

    assert refused.exit == Exit.COULD_NOT_RUN
    assert str(place) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert file.read_text() == "mine"


def test_demo_step_with_unexpected_exit_code_stops_with_its_message(tmp_path: Path) -> None:
    teller = Narrator(tmp_path, _environment())
    with pytest.raises(StoryBroken, match=r"'syncd plan' ended with exit code 1.*no configuration file syncd\.toml"):
        teller.run("plan")


@pytest.mark.slow
def test_what_is_set_for_the_readers_own_syncd_is_not_used(tmp_path: Path) -> None:
    with _started(tmp_path, SYNCD_CONFIG="/no/such/file", SYNCD_ONEFILE__BASE_URL="https://onefile.invalid") as demo:
        _wait_for_the_first_run(tmp_path, demo)
        assert "https://onefile.invalid" not in (tmp_path / "syncd-demo" / "syncd.toml").read_text()


@pytest.mark.slow
def test_a_demo_that_is_stopped_takes_the_simulator_with_it(tmp_path: Path) -> None:
    with _started(tmp_path) as demo:
        _wait_for_the_first_run(tmp_path, demo)
        assert _answers(tmp_path / "syncd-demo")

        demo.send_signal(SIGTERM)
        _, said = demo.communicate(timeout=60)

    assert demo.returncode == Exit.COULD_NOT_RUN
    assert "Traceback" not in said
    assert "syncd-demo" in said
    assert not _answers(tmp_path / "syncd-demo")


def _syncd(folder: Path, *arguments: str) -> Finished:
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def _json(folder: Path, *arguments: str) -> Any:
    return _syncd(folder, *arguments, "--json").json


class _Demo(subprocess.Popen[str]):
    def __exit__(self, *reason: object) -> None:
        if self.poll() is None:
            self.terminate()
        self.communicate()


def _started(folder: Path, **variables: str) -> _Demo:
    return _Demo(
        [*COMMAND, "demo"],
        cwd=folder,
        env={**_environment(), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def _wait_for_the_first_run(folder: Path, demo: _Demo) -> None:
    log = folder / "syncd-demo" / "syncd.log"

    def look() -> bool:
        assert demo.poll() is None, demo.communicate()
        return log.exists() and "run_started" in log.read_text(encoding="utf-8")

    wait_until(look, "the demo's first run to begin")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}


def _answers(folder: Path) -> bool:
    """Whether the OneFile that the demo was configured with still takes connections."""
    with (folder / "syncd.toml").open("rb") as file:
        address = urlsplit(tomllib.load(file)["onefile"]["base_url"])
    try:
        socket.create_connection((address.hostname, address.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True

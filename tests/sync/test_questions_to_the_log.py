"""The log of a day answers the questions that the documentation prints, with the one-liners that it prints for them.

The day is a simulated one: its clock is moved from run to run, and everything else is real.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import time_machine

from syncd import logs
from syncd.core.run import RunState, Trigger
from syncd.documentation import read
from syncd.errors import OneFileUnreachable
from syncd.simulator import Fault, FaultKind
from syncd.sync.run import run_once
from tests.support.college import College, Found

_DAY: Final = "2026-06-15"
_WHO: Final = "L1042"
_ONEFILE_IS_DOWN_AT: Final = 15.0

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)]


@dataclass(slots=True)
class _Day:
    """What was done in it, and where its log is."""

    college: College
    file: Path
    created: dict[str, int] = field(default_factory=dict)
    """The UserIDs of the learners who were created in it, by MISID."""
    runs: int = 0

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def day(found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Day:
    file = tmp_path / "day.log"
    with file.open("w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        college = found()
        college.context = replace(college.context, log=logs.set_up("json", "info"))
        day = _Day(college, file)
        _live_through(day)
    return day


def _live_through(day: _Day) -> None:
    """A poll every quarter of an hour, the evening before included, and what happens between them."""
    college = day.college
    begins = datetime.fromisoformat(_DAY).replace(tzinfo=UTC)
    happenings = _happenings(college)
    before: set[int] = set()
    for quarter in range(-8, 96):
        hour = quarter / 4
        now = begins + timedelta(hours=hour)
        college.clock.now = max(college.clock.now, now)
        if hour == 0:
            before = set(college.onefile.world.users)
        for happen in happenings.get(hour, ()):
            happen()
        with time_machine.travel(now, tick=True):
            try:
                assert run_once(college.context, Trigger.SCHEDULE).state is RunState.FINISHED
            except OneFileUnreachable:
                assert hour == _ONEFILE_IS_DOWN_AT
        day.runs += 1
    users = college.onefile.world.users.values()
    day.created = {str(user.misid): user.id for user in users if user.id not in before}


def _happenings(college: College) -> dict[float, list[Callable[[], None]]]:
    """What happens in the MIS and to OneFile just before the poll of which hour."""

    def strikes(kind: FaultKind, path: str, **how: int) -> Callable[[], None]:
        return lambda: college.onefile.faults.add(Fault(kind, path=path, **how))  # type: ignore[arg-type]

    enrol, correct = partial(partial, college.enrol), partial(partial, college.correct)
    return {
        -2.0: [enrol("L0")],
        8.0: [enrol("L1", "L2", "L3")],
        9.0: [enrol("H1", email="")],
        9.5: [correct("L1", surname="Married")],
        10.0: [enrol("L4"), strikes(FaultKind.THROTTLE, "/User", retry_after_seconds=7)],
        10.5: [correct("L1", phone="01224 496 000")],
        11.0: [enrol("L5"), strikes(FaultKind.DROP_AFTER, "/User")],
        12.0: [enrol("R1", placement=1)],
        13.0: [correct("H1", email="h1@students.example.org")],
        14.0: [enrol("H2", classroom="Nobody's Class")],
        _ONEFILE_IS_DOWN_AT: [enrol("L6"), strikes(FaultKind.UNAVAILABLE, "/User/Search*", times=3)],
        16.0: [enrol("L3", surname="Doubled")],
        17.0: [partial(_withdraw_the_double, college)],
        18.25: [correct("L4", surname="Throttled"), strikes(FaultKind.THROTTLE, "/User/*", retry_after_seconds=31)],
    }


def _withdraw_the_double(college: College) -> None:
    college.execute("DELETE FROM person WHERE surname = 'Doubled'")


def _asked(day: _Day, question: str, misid: str = _WHO) -> list[list[str]]:
    """What the documentation's one-liner for a question answers, a list of words for each line."""
    section = read("logging").partition("## Questions to the log")[2]
    lines = re.search(rf"# {re.escape(question)}\n(.+?)\n(?:#|```)", section, re.DOTALL)
    assert lines, f"logging.md has no one-liner for {question!r}"
    command = lines[1].replace('"$(date -u +%F)"', _DAY).replace(_WHO, misid)
    answered = subprocess.run(
        ["sh", "-c", command], cwd=day.file.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert (answered.returncode, answered.stderr) == (0, ""), command
    return [line.split("\t") for line in answered.stdout.splitlines()]


def test_the_log_of_a_day_answers_the_questions_of_the_documentation(day: _Day) -> None:
    assert sorted(day.created) == ["H1", "L1", "L2", "L3", "L4", "L5", "L6"]

    who = _asked(day, "Who was created today?")
    assert {misid: int(user_id) for _, role, misid, user_id in who if role == "Learner"} == day.created
    assert len(who) == len(day.created)
    assert all(at.startswith(_DAY) for at, *_ in who)

    changed = _asked(day, f"What changed for {_WHO}?", "L1")
    assert [(at[:16], *what) for at, *what in changed] == [
        (f"{_DAY}T08:00", "change_applied", "create", changed[0][3]),
        (f"{_DAY}T09:30", "change_applied", "update", "LastName"),
        (f"{_DAY}T10:30", "change_applied", "update", "Telephone"),
    ]
    assert {"FirstName", "LastName", "Email", "MISID"} <= set(changed[0][3].split())
    lost = [event for _, event, *_ in _asked(day, f"What changed for {_WHO}?", "L5")]
    assert lost[:2] == ["change_in_doubt", "change_settled"]

    question = f"Why is {_WHO} held?"
    assert [what for _, *what in _asked(day, question, "H2")] == [["reference_not_found", "ClassroomID"]]
    assert [at[:16] for at, *_ in _asked(day, question, "H2")] == [f"{_DAY}T14:00"]
    assert [what[1] for what in _asked(day, question, "R1")] == ["refused"]
    for nobody in ("H1", "L1", "L3", "L999"):
        assert _asked(day, question, nobody) == [], nobody

    assert [(at[:16], seconds) for at, _run, seconds in _asked(day, "When were we throttled?")] == [
        (f"{_DAY}T10:00", "7"),
        (f"{_DAY}T18:15", "31"),
    ]


def test_log_lines_carry_run_and_change_lines_carry_their_subject(day: _Day) -> None:
    lines = day.lines
    assert sum(line["event"] == "run_finished" for line in lines) == day.runs
    assert [line for line in lines if not isinstance(line.get("run"), int)] == []
    told = {line["event"] for line in lines}
    assert told >= {
        "run_started",
        "plan_ready",
        "run_finished",
        "change_applied",
        "change_refused",
        "change_in_doubt",
        "change_settled",
        "record_held",
        "record_released",
        "onefile_unreachable",
        "onefile_recovered",
        "throttled",
    }
    of_changes = [line for line in lines if line["event"].startswith("change_")]
    assert all({"change", "action", "misid", "role", "user_id", "fields"} <= line.keys() for line in of_changes)
    assert all(line["user_id"] for line in of_changes if line["event"] == "change_applied")
    of_records = [line for line in lines if line["event"].startswith("record_")]
    assert all({"misid", "role"} <= line.keys() for line in of_records)
